"""Introspection: what an endpoint says of itself."""

from __future__ import annotations

from ..execution.reply import Reply, json_reply
from ..wire.http import CommRequest
from ..wire.names import Header
from ..wire.register import Inspection
from ..wire.signing import hash_event_key, hash_signing_key
from .site import Site


def get(site: Site, request: CommRequest, signed: bool) -> Reply:
    """Answer a GET: the whole document if it is signed, a short one in dev mode if not."""
    kind = request.headers.get(Header.SERVER_KIND)
    if kind is not None and kind != site.home.config.kind.value:
        return json_reply(403, {})
    doc = inspection(site, signed)
    return json_reply(200, doc.full() if signed else doc.public())


def inspection(site: Site, signed: bool) -> Inspection:
    """What the endpoint knows of itself, with hashes in place of keys."""
    config = site.home.config
    key, fallback = config.signing_key, config.signing_key_fallback
    return Inspection(
        api_origin=config.shown_api_origin,
        app_id=config.app_id,
        authentication_succeeded=signed or None,
        env=config.env,
        event_api_origin=config.shown_event_origin,
        event_key_hash=hash_event_key(config.event_key) if config.event_key else None,
        framework=site.framework,
        function_count=len(site.functions),
        has_event_key=config.event_key is not None,
        has_signing_key=key is not None,
        has_signing_key_fallback=fallback is not None,
        mode=config.kind.value,
        serve_origin=site.serve_origin or config.serve_origin,
        serve_path=site.serve_path or config.serve_path,
        signing_key_fallback_hash=hash_signing_key(fallback, prefixed=False) if fallback else None,
        signing_key_hash=hash_signing_key(key, prefixed=False) if key else None,
    )
