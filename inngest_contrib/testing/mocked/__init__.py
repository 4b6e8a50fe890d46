"""
Run one function in memory, with stand-ins for what only a server can do.

``trigger`` runs a function to its end at once: sleeps pass, retries are immediate, and
steps that wait for others take the outcome that the test gives them.
"""

from .client import Inngest
from .stubs import Status, Timeout, UnstubbedStepError
from .trigger import Result, trigger

__all__ = ["Inngest", "Result", "Status", "Timeout", "UnstubbedStepError", "trigger"]
