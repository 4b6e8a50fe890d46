"""Inngest functions in a FastAPI app."""

from .adapter import serve

__all__ = ["serve"]
