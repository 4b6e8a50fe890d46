"""
The embedded Inngest server: one process, one SQLite file, for development, tests and one machine.

`engine` decides, `store` keeps, `loop` drives, `executors` call the apps, `api` is the HTTP face.
Importing this package imports none of them.
"""
