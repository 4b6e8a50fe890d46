"""Gemini, of Google."""

from __future__ import annotations

from .adapter import Provider


class Adapter(Provider):
    """Gemini's generateContent."""

    origin = "https://generativelanguage.googleapis.com/v1beta"
    dialect = "gemini"

    def url_infer(self) -> str:
        """
        The address to which the body is posted.

        The key is not in it: the server adds it to the query, and would add it twice.
        """
        return f"{self._base_url}/models/{self._model}:generateContent"
