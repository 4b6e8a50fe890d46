"""
An app within the server's own process: its functions are called directly, without a socket.

The app registers itself as any other does, at an address that exists only in this process.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

from inngest_contrib.devserver.discovery import IN_PROCESS_URL, sync_request
from inngest_contrib.devserver.errors import AppNotLoaded
from inngest_contrib.devserver.keys import Keys, environment
from inngest_contrib.devserver.loop import Server
from inngest_core import Inngest
from inngest_core.comm import CommHandler, CommRequest

FRAMEWORK = "in-process"
_SOME_SERVER = ("1", "true")
"""Values of INNGEST_DEV that ask for dev mode and name no server."""


@dataclass(slots=True, frozen=True)
class Inside:
    """An app within this process."""

    client: Inngest
    urls: frozenset[str]
    """The addresses it answers to."""

    async def close(self) -> None:
        """Give back what its client opened."""
        await self.client.aclose()


async def attach_app(server: Server, app: Inngest | str, own_url: str, keys: Keys) -> Inside:
    """Register the functions of a client, which may be named by `module:attribute`.

    Raises AppNotLoaded when there is no such client or it cannot be registered.
    """
    client = _loaded(app, own_url, keys) if isinstance(app, str) else _fitting(app, own_url)
    handler = CommHandler(client=client, framework=FRAMEWORK)
    server.attach(IN_PROCESS_URL, handler)
    asked = sync_request(IN_PROCESS_URL, keys)
    request = CommRequest(
        method="PUT",
        url=IN_PROCESS_URL,
        headers=asked["headers"],
        query={},
        body=asked["data"],
    )
    response = await handler.answer(request)
    if response.status >= 300:
        reason = response.body.decode(errors="replace")
        raise AppNotLoaded(f"{client!r}: its functions could not be registered: {reason}")
    return Inside(client, frozenset({IN_PROCESS_URL, *_follow(server, handler)}))


def _fitting(client: Inngest, own_url: str) -> Inngest:
    if urlsplit(client.api_origin).port != urlsplit(own_url).port:
        raise AppNotLoaded(
            f"{client!r} talks to {client.api_origin}, and this server is {own_url}; give both the "
            "same port"
        )
    return client


def _loaded(path: str, own_url: str, keys: Keys) -> Inngest:
    # The app must talk to this server; another that the user has named is left alone.
    if keys.signing is not None:
        for name, value in environment(own_url, keys).items():
            os.environ.setdefault(name, value)
    elif os.environ.get("INNGEST_DEV", "true").lower() in _SOME_SERVER:
        os.environ["INNGEST_DEV"] = own_url
    return _load(path)


def _load(path: str) -> Inngest:
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise AppNotLoaded(f"--app {path}: write it as module:attribute, such as shop.app:client")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise AppNotLoaded(f"--app {path}: it cannot be loaded: {error}") from error
    if not isinstance(found, Inngest):
        kind = type(found).__name__
        raise AppNotLoaded(f"--app {path}: it is a {kind}, and an inngest_core.Inngest is needed")
    return found


def _follow(server: Server, handler: CommHandler) -> list[str]:
    """Attach the address under which the app registered, where its own settings changed it."""
    urls = [app.url for app in server.reads.apps() if app.framework == FRAMEWORK]
    for url in urls:
        server.attach(url, handler)
    return urls
