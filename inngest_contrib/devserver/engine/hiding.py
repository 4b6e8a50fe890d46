"""What is neither stored nor shown: keys in the options of ops, and whatever looks like one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inngest_contrib.devserver.engine.commands import Json

HIDDEN = "[hidden]"
_HEADER = re.compile(r"auth|cookie|credential|key|secret|session|token", re.IGNORECASE)
_PARAMETER = re.compile(r"auth|key|secret|sig|token|password", re.IGNORECASE)


def hide_secrets(opts: Mapping[str, Json]) -> dict[str, Json]:
    """Options of an op as they may be stored and shown."""
    shown = dict(opts)
    if shown.get("auth_key"):
        shown["auth_key"] = HIDDEN
    if isinstance(shown.get("headers"), dict):
        shown["headers"] = {
            name: HIDDEN if _HEADER.search(name) else value
            for name, value in shown["headers"].items()
        }
    if isinstance(shown.get("url"), str):
        shown["url"] = hide_in_url(shown["url"])
    return shown


def hide_in_url(url: str) -> str:
    """A URL without what may be a secret in it: a password, the values of some parameters."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return HIDDEN
    if "@" in parts.netloc:
        parts = parts._replace(netloc=f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}")
    if any(_PARAMETER.search(name) for name, _ in pairs):
        hidden = [(name, HIDDEN if _PARAMETER.search(name) else v) for name, v in pairs]
        parts = parts._replace(query=urlencode(hidden, safe="[]", errors="replace"))
    return urlunsplit(parts)


def hide_in_reply(value: Json) -> Json:
    """A reply as it may be quoted: where it holds ops, their options without secrets."""
    if isinstance(value, list):
        return [hide_in_reply(one) for one in value]
    if isinstance(value, dict) and isinstance(value.get("opts"), dict):
        return {**value, "opts": hide_secrets(value["opts"])}
    return value
