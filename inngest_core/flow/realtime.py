"""Publishing to realtime channels, and tokens for those who subscribe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..errors import ConfigError
from ..execution.build import require_text
from .effect import Flow
from .fetch import fetch
from .rest import body_of, require_success, text_in
from .site import Home

MOST_BYTES = 512 * 1024
"""The server cuts what is longer, and passes the rest on as a text."""


def publish(home: Home, channel: str, topic: str, data: object) -> Flow[None]:
    """Hand *data* to all who are subscribed now. Raises ConfigError before anything is sent."""
    query = {
        "channel": require_text(channel, "publish channel"),
        "topic": require_text(topic, "publish topic"),
    }
    body = body_of(dict(data) if isinstance(data, Mapping) else data, "publish data")
    if len(body) > MOST_BYTES:
        raise ConfigError(
            f"publish data: it has {len(body)} bytes, and the server cuts messages at "
            f"{MOST_BYTES}. Keep large data elsewhere and publish its address"
        )
    response = yield from fetch(home, "POST", f"/v1/realtime/publish?{urlencode(query)}", body)
    require_success(response, f'the message to channel "{channel}"')


def subscription_token(home: Home, channel: str, topics: list[str]) -> Flow[Mapping[str, Any]]:
    """A token, good for a minute, with which a browser may subscribe to *topics*."""
    where = "get_subscription_token"
    require_text(channel, f"{where} channel")
    if not isinstance(topics, (list, tuple)):
        raise ConfigError(f"{where} topics: expected a list, got {type(topics).__name__}")
    names = [require_text(topic, f"{where} topics[{n}]") for n, topic in enumerate(topics)]
    asked = [{"channel": channel, "name": name, "kind": "run"} for name in names]
    response = yield from fetch(home, "POST", "/v1/realtime/token", body_of(asked, where))
    token = text_in(response, f'a token for channel "{channel}"', "jwt")
    return {"channel": channel, "topics": names, "key": token}
