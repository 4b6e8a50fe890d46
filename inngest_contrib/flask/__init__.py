"""Inngest functions in a Flask app."""

from .adapter import serve
from .blueprint import InngestBlueprint, create_blueprint, init_app, inngest_blueprint

__all__ = ["InngestBlueprint", "create_blueprint", "init_app", "inngest_blueprint", "serve"]
