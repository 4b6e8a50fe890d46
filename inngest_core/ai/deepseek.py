"""DeepSeek."""

from __future__ import annotations

from .adapter import Provider


class Adapter(Provider):
    """DeepSeek's chat completions."""

    origin = "https://api.deepseek.com/v1"
