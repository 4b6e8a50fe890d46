"""Large step outputs kept elsewhere: memos carry a marker, the store the value."""

from .driver import RemoteStateError, StateDriver
from .filesystem import FilesystemDriver
from .memory import InMemoryDriver
from .middleware import RemoteStateMiddleware
from .s3 import S3Driver

__all__ = [
    "FilesystemDriver",
    "InMemoryDriver",
    "RemoteStateError",
    "RemoteStateMiddleware",
    "S3Driver",
    "StateDriver",
]
