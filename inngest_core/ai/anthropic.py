"""Anthropic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .adapter import Provider


class Adapter(Provider):
    """Anthropic's messages. Their body must set max_tokens."""

    origin = "https://api.anthropic.com/v1"
    path = "/messages"
    dialect = "anthropic"
    usual_headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01"}
