"""Inngest functions in a FastAPI app."""

from .adapter import serve
from .router import create_router, inngest_router

__all__ = ["create_router", "inngest_router", "serve"]
