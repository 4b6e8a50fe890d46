"""
The HTTP face of the embedded server.

`app.build` is the door in. Every handler reads a request, asks the loop or the store, and writes a
reply; whatever it raises becomes a response in one place, `replies.from_error`.
"""
