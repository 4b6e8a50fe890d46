"""Requests to the server's REST API, with the signing key and its fallback."""

from __future__ import annotations

from ..wire.http import HttpRequest, HttpResponse
from ..wire.names import Header
from ..wire.signing import hash_signing_key
from .effect import Flow, Send
from .site import Home, sdk_headers

_REFUSED = (401, 403)


def fetch(
    home: Home, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Flow[HttpResponse]:
    """
    The reply to a request, whatever its status.

    Refused with the current signing key, it is repeated once with the fallback,
    which is used from then on if it worked.
    """
    config = home.config
    keys = [home.working_signing_key] if home.working_signing_key else list(config.signing_keys)
    url = config.api_origin + path
    base = {**sdk_headers(config), **(headers or {})}
    first = next(iter(keys), None)
    response: HttpResponse = yield _request(method, url, base, body, config.request_timeout, first)
    for key in keys[1:]:
        if response.status not in _REFUSED:
            break
        response = yield _request(method, url, base, body, config.request_timeout, key)
        if response.status not in _REFUSED:
            home.working_signing_key = key
    return response


def _request(
    method: str, url: str, base: dict[str, str], body: bytes, timeout: float, key: str | None
) -> Send:
    headers = base
    if key is not None:
        headers = {**base, Header.AUTHORIZATION: f"Bearer {hash_signing_key(key)}"}
    return Send(HttpRequest(method, url, headers, body, timeout))
