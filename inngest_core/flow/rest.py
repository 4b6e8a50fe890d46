"""Replies of the REST API: the document, or the error that says why there is none."""

from __future__ import annotations

import json
from typing import Any

from ..errors import ServerError
from ..execution.build import json_text
from ..wire.http import HttpResponse

_MOST = 200
_ADVICE = {
    401: "check the signing key, INNGEST_SIGNING_KEY",
    403: "check the signing key, INNGEST_SIGNING_KEY",
    404: "check the address of the API, INNGEST_API_BASE_URL; not every server can do this",
    501: "this server cannot do this; use another one",
}


def body_of(value: object, where: str) -> bytes:
    """The body that carries *value*; ConfigError naming *where* it came from if it is no JSON."""
    # What UTF-8 cannot hold, half of a surrogate pair, becomes the escape that JSON has for it.
    return json_text(value, where).encode("utf-8", "backslashreplace")


def require_success(response: HttpResponse, what: str) -> None:
    """Raise ServerError, saying what to do, if *what* was refused."""
    if 200 <= response.status < 300:
        return
    advice = _ADVICE.get(response.status)
    text = f"the server refused {what} with status {response.status}: {said(response)}"
    raise ServerError(f"{text}; {advice}" if advice else text)


def text_in(response: HttpResponse, what: str, *keys: str) -> str:
    """The text under *keys* in the reply to *what*; ServerError if there is none."""
    require_success(response, what)
    found = _document(response)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, str) and found:
        return found
    raise ServerError(
        f"the reply to {what} has status {response.status}, but no {'.'.join(keys)}; "
        "check the address of the API, INNGEST_API_BASE_URL"
    )


def said(response: HttpResponse) -> str:
    """What the server gave as its reason, in one line."""
    doc = _document(response)
    if isinstance(doc, dict):
        reason = doc.get("error") or doc.get("message")
    else:
        reason = response.body.decode(errors="replace")
    return " ".join(str(reason or "").split())[:_MOST] or "it gave no reason"


def _document(response: HttpResponse) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None
