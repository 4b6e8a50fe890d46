"""
The pure half of the embedded server: `Engine.apply(command, now)` decides, and performs nothing.

Law: no I/O, no clock, no thread, no randomness but the seed the engine is given. Time is an
argument, in unix milliseconds. So a virtual clock can drive the very same engine.
"""

from inngest_contrib.devserver.engine.engine import Engine

__all__ = ["Engine"]
