"""Registering an app: the PUT of a server, answered by itself or with a request of our own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ..errors import BodyError, InngestError, ServerError, ServerKindMismatchError
from ..execution.reply import Reply, dump, json_reply
from ..wire.call import parse_body
from ..wire.http import CommRequest, HttpResponse
from ..wire.names import Header, Query, ServerKind, SyncKind
from ..wire.register import in_band_reply, registration
from .effect import Flow
from .fetch import fetch
from .inspect import inspection
from .site import Site, sync_header

_MOST_SAID = 500
_KIND_TITLES = {ServerKind.DEV.value: "a Dev Server", ServerKind.CLOUD.value: "Cloud"}


def put(site: Site, request: CommRequest, signed: bool) -> Flow[Reply]:
    """Answer a PUT."""
    check_kind(site, request)
    wants_in_band = request.headers.get(Header.SYNC_KIND) == SyncKind.IN_BAND.value
    if wants_in_band and site.in_band and signed:
        return _in_band(site, request)
    reply = yield from _out_of_band(site, request)
    return reply


def check_kind(site: Site, request: CommRequest) -> None:
    """Refuse a dev server in cloud mode, and the other way round."""
    kind = request.headers.get(Header.SERVER_KIND)
    expected = site.home.config.kind.value
    if kind in _KIND_TITLES and kind != expected:
        wanted = _KIND_TITLES[expected].removeprefix("a ")
        raise ServerKindMismatchError(
            f"Sync rejected since it's from {_KIND_TITLES[kind]} but expected {wanted}"
        )


def register(site: Site, url: str, deploy_id: str | None = None) -> Flow[HttpResponse]:
    """Register the app under *url* with the server."""
    body = dump(registration(site.app, site.configs, url)).encode()
    path = "/fn/register"
    if deploy_id:
        path += f"?deployId={quote(deploy_id, safe='', errors='replace')}"
    response = yield from fetch(site.home, "POST", path, body, {Header.FRAMEWORK: site.framework})
    return response


def _in_band(site: Site, request: CommRequest) -> Reply:
    doc = parse_body(request.body)
    url = doc.get("url") if isinstance(doc, dict) else None
    if not isinstance(url, str) or not url:
        raise BodyError("body.url is missing; the server names the address it used")
    reply = in_band_reply(site.app, site.configs, inspection(site, signed=True), url)
    return json_reply(200, reply, sync_header(SyncKind.IN_BAND))


def _out_of_band(site: Site, request: CommRequest) -> Flow[Reply]:
    try:
        response = yield from register(site, _url(site, request), _deploy_id(request))
        _check(response)
    except InngestError as error:
        site.home.logger.error("registering %s failed: %s", site.home.config.app_id, error)
        failed = {"message": str(error), "modified": False}
        return json_reply(500, failed, sync_header(SyncKind.OUT_OF_BAND))
    headers = {Header.CONTENT_TYPE: "application/json", **sync_header(SyncKind.OUT_OF_BAND)}
    return Reply(200, response.body, headers)


def _url(site: Site, request: CommRequest) -> str:
    try:
        return site.url(request)
    except ValueError as error:
        # Of urllib, about a Host header that nobody can parse.
        raise BodyError(f"the request names no address to register: {error}") from error


def _deploy_id(request: CommRequest) -> str | None:
    return request.query.get(Query.DEPLOY_ID)


def _check(response: HttpResponse) -> None:
    """Raise ServerError unless the server has accepted, and said so as Inngest does."""
    if not 200 <= response.status < 300:
        raise ServerError(_refusal(response))
    if not isinstance(_document(response), dict):
        raise ServerError(
            f"the reply has status {response.status}, but is not that of an Inngest server: it "
            "is no JSON object. Check the API's address"
        )


def _document(response: HttpResponse) -> Any:
    """The JSON of a reply; None if it has none."""
    try:
        return parse_body(response.body)
    except BodyError:
        return None


def _refusal(response: HttpResponse) -> str:
    """What the server said, in one line."""
    doc: Any = _document(response)
    if doc is None:
        doc = response.body.decode(errors="replace").strip()
    said = str((doc.get("error") or doc.get("message")) if isinstance(doc, dict) else doc)
    return f"the server refused the registration with status {response.status}: {said[:_MOST_SAID]}"
