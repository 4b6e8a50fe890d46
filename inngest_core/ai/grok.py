"""Grok, of xAI."""

from __future__ import annotations

from .adapter import Provider


class Adapter(Provider):
    """Grok's chat completions."""

    origin = "https://api.x.ai/v1"
