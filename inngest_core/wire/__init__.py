"""
The protocol as data: bytes and strings in, records out.

Rule: no I/O and no clock in this room. What time it is, is an argument.
"""
