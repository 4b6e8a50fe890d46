"""Inngest functions in a Flask app."""

from .adapter import serve

__all__ = ["serve"]
