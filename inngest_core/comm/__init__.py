"""The door that adapters hold: bytes in, bytes out."""

from ..wire.http import CommRequest, CommResponse, first_values
from .handler import CommHandler

__all__ = ["CommHandler", "CommRequest", "CommResponse", "first_values"]
