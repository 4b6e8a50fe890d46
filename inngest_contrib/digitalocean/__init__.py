"""Inngest functions in a DigitalOcean Function."""

from .adapter import serve

__all__ = ["serve"]
