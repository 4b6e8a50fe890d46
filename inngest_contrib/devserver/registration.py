"""
What an app says about itself: read, checked, and refused with every reason at once.

Two kinds of refusal, as on the real server. A document whose fields have the wrong types is an
invalid request, told at the first such field. Functions that are well formed but make no sense are
told together, each with its name; the real server writes these reasons only to its log.

Law: pure. Bytes in, a `SyncApp` command out, or `RegistrationRefused`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from inngest_contrib.devserver.engine.commands import SyncApp
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_contrib.devserver.function_rules import problems
from inngest_contrib.devserver.function_shape import ShapeError, check_function
from inngest_core.wire.names import ServerKind

DENIED_SDK = re.compile(r"js:v3\.(\d+)\.(\d+)")
DENIED_TEXT = (
    "App sync was blocked because this application is using an Inngest JavaScript SDK with a "
    "known security vulnerability. Please upgrade to v3.54.0 or later. See more information: "
    "https://www.inngest.com/blog/cve-2026-42047"
)
FUNCTIONS_INVALID = "At least one function is invalid"

_TEXT_KEYS = ("url", "sdk", "framework", "appname", "appversion", "deploytype")


class RegistrationRefused(ValueError):
    """A registration cannot be accepted. `url` is the app's, where it could be read."""

    def __init__(self, message: str, *, code: str = "", url: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.url = url


def read_registration(
    body: bytes,
    problem_of: Callable[[str], str | None],
    *,
    expected_kind: str = "",
    kind: str = ServerKind.DEV.value,
) -> SyncApp:
    """Read the payload of /fn/register. Raise RegistrationRefused.

    `problem_of` says why an expression does not compile; `expected_kind` is the kind of server that
    the SDK believes to talk to, if it says so, and `kind` what this one is.
    """
    if expected_kind not in ("", kind):
        raise RegistrationRefused(f"Expected server kind {kind}, got {expected_kind}")
    payload = _payload(body)
    app = _app(payload, hashlib.sha256(body).hexdigest())
    _refuse_denied(app)
    reasons = list(_reasons(app, problem_of))
    if reasons:
        raise RegistrationRefused(f"{FUNCTIONS_INVALID}: {'; '.join(reasons)}", url=app.url)
    return app


def _payload(body: bytes) -> dict[str, Any]:
    """Parse the document; its keys are compared without regard to case, as the server does."""
    try:
        document = read_json(body)
    except EventRefused as error:
        raise RegistrationRefused(f"Invalid request: {error}") from error
    if not isinstance(document, dict):
        raise RegistrationRefused("Invalid request: the body must be a JSON object")
    payload = {key.lower(): value for key, value in document.items()}
    for key in _TEXT_KEYS:
        if not isinstance(payload.get(key, ""), (str, type(None))):
            raise RegistrationRefused(f"Invalid request: {key} must be a string")
    return payload


def _app(payload: Mapping[str, Any], checksum: str) -> SyncApp:
    name = payload.get("appname") or ""
    url = payload.get("url") or ""
    if not name:
        raise RegistrationRefused("App ID required", url=url)
    return SyncApp(
        name=name,
        url=url,
        functions=_functions(payload, url),
        sdk=payload.get("sdk") or "",
        framework=payload.get("framework") or "",
        version=payload.get("appversion") or "",
        method=payload.get("deploytype") or "ping",
        checksum=checksum,
    )


def _functions(payload: Mapping[str, Any], url: str) -> list[dict[str, Any]]:
    """Check the types of every function. One without an id gets one; of two, the last counts."""
    functions = payload.get("functions")
    if functions is None:
        return []
    if not isinstance(functions, list):
        raise RegistrationRefused("Invalid request: functions must be a list", url=url)
    try:
        for function in functions:
            check_function(function)
    except ShapeError as error:
        raise RegistrationRefused(f"Invalid request: {error}", url=url) from error
    identified = [{**function, "id": _identify(function)} for function in functions]
    return list({function["id"]: function for function in identified}.values())


def _identify(function: Mapping[str, Any]) -> str:
    return function.get("id") or re.sub(r"[^a-z0-9]+", "-", (function.get("name") or "").lower())


def _refuse_denied(app: SyncApp) -> None:
    match = DENIED_SDK.match(app.sdk)
    if match and 22 <= int(match[1]) <= 53:
        raise RegistrationRefused(DENIED_TEXT, code="sdk_version_denied", url=app.url)


def _reasons(app: SyncApp, problem_of: Callable[[str], str | None]) -> Iterator[str]:
    for function in app.functions:
        for reason in problems(function, problem_of):
            yield f"{function['id'] or 'a function'}: {reason}"


def describe(app: SyncApp) -> str:
    """Write a registration as one line of a log."""
    names = ", ".join(str(function["id"]) for function in app.functions) or "no functions"
    return json.dumps(app.name) + f" at {app.url or 'an unnamed URL'}: {names}"
