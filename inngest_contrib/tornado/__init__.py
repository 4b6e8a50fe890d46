"""Inngest functions in a Tornado app."""

from .adapter import InngestHandler, serve

__all__ = ["InngestHandler", "serve"]
