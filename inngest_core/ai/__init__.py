"""Providers of models, for ``ctx.step.ai.infer``."""

from __future__ import annotations

from . import anthropic, deepseek, gemini, grok, openai
from .adapter import BaseAdapter

__all__ = ["BaseAdapter", "anthropic", "deepseek", "gemini", "grok", "openai"]
