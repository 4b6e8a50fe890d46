"""OpenAI, and whoever speaks its dialect under another base_url."""

from __future__ import annotations

from .adapter import Provider


class Adapter(Provider):
    """OpenAI's chat completions."""

    origin = "https://api.openai.com/v1"
