"""
Finding apps: ask each address to register itself, again and again, and say so when it does not.

An app is asked with the PUT by which a server starts a sync; it answers after it has posted its
functions to /fn/register. Only changes are told: an app that stays as it is, well or broken, is
silent. Nothing that an app does or fails to do ends the watching.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from inngest_contrib.devserver.engine.commands import NoteAppError
from inngest_contrib.devserver.keys import Keys
from inngest_contrib.devserver.loop import Server
from inngest_core.wire.canonical import canonical
from inngest_core.wire.names import Header
from inngest_core.wire.signing import sign

logger = logging.getLogger("inngest.devserver")

IN_PROCESS_URL = "http://in-process/api/inngest"
"""The address of an app within this process, now or when the database was last used."""
RETRY_SECONDS = 1.0
"""How soon an address that has never answered is asked again."""
REQUEST_SECONDS = 10.0
MAX_TEXT = 500
UNREACHABLE = "nobody answers there"
PAGE = "a web page is there, and no Inngest endpoint; give the path of the endpoint"
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_NO_REPLY = "no reply from "
"""In the answer of an app that looks for its server at another address."""


@dataclass(slots=True)
class _Watched:
    url: str
    answered: bool = False
    problem: str = ""
    due: float = 0.0


@dataclass(slots=True)
class Discovery:
    """Keeps asking the addresses it was given, and those of the apps that registered themselves."""

    server: Server
    urls: Iterable[str]
    own_url: str
    """The address of this server, told to those who cannot find it."""
    interval: float = 5.0
    poll: bool = True
    """Ask again after an app has answered once; without, only until then."""
    skip: frozenset[str] = frozenset({IN_PROCESS_URL})
    """Addresses that are never asked: apps within this process."""
    keys: Keys = field(default_factory=Keys)
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def known(self) -> list[str]:
        """The addresses that are asked, and those of all apps."""
        return [*self.urls, *self._watched, *(app.url for app in self.server.reads.apps())]

    def add(self, url: str) -> None:
        """Ask at one more address."""
        self._watched.setdefault(url, _Watched(url))

    async def run(self) -> None:
        """Ask until cancelled."""
        for url in self.urls:
            self.add(url)
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        ) as client:
            while True:
                await self._ask_who_is_due(client)
                await asyncio.sleep(min(RETRY_SECONDS, self.interval))

    async def _ask_who_is_due(self, client: aiohttp.ClientSession) -> None:
        now = asyncio.get_running_loop().time()
        if self.poll:
            self._add_registered()
        due = [one for one in self._watched.values() if one.due <= now and self._wants(one)]
        # One slow app does not keep the others waiting.
        await asyncio.gather(*(self._ask(client, one) for one in due))
        for one in due:
            one.due = now + (self.interval if one.answered else min(RETRY_SECONDS, self.interval))

    def _wants(self, one: _Watched) -> bool:
        return self.poll or not one.answered

    def _add_registered(self) -> None:
        for app in self.server.reads.apps():
            known = app.url in self._watched or app.url in self.skip
            if not known and app.method == "ping" and app.url.startswith(("http://", "https://")):
                self._watched[app.url] = _Watched(app.url, answered=True)

    async def _ask(self, client: aiohttp.ClientSession, one: _Watched) -> None:
        before = self._syncs()
        problem = await ask_to_sync(client, one.url, self.keys)
        if not problem and not one.answered and self._syncs() == before:
            problem = f"it answered, but registered with another server. {self._remedy()}"
        elif _NO_REPLY in problem and self.own_url not in problem:
            problem += f". {self._remedy()}"
        await self._tell(one, problem)
        one.answered = one.answered or not problem

    def _remedy(self) -> str:
        if self.keys.signing is None:
            return f"Start it with INNGEST_DEV={self.own_url}"
        return f"Start it with INNGEST_DEV=0 and INNGEST_BASE_URL={self.own_url}"

    def _syncs(self) -> dict[str, int]:
        return {app.id: app.synced_at for app in self.server.reads.apps()}

    async def _tell(self, one: _Watched, problem: str) -> None:
        """Tell the log and the store what has changed."""
        if problem == one.problem:
            return
        one.problem = problem
        if problem:
            logger.warning("App at %s: %s (asking again every few seconds)", one.url, problem)
        else:
            logger.info("App at %s answers again", one.url)
        await self.server.submit(NoteAppError(one.url, problem))


async def ask_to_sync(client: aiohttp.ClientSession, url: str, keys: Keys) -> str:
    """Ask an app to register; return what is wrong, or nothing."""
    if not _is_address(url):
        return "this is not an address that can be asked; write it as http://host:port/path"
    request = sync_request(url, keys)
    try:
        async with client.put(url, **request, allow_redirects=False) as response:
            text = await response.text(errors="replace")
            return _judge(response.status, text)
    except asyncio.TimeoutError:
        return f"no answer within {REQUEST_SECONDS:.0f} seconds"
    except aiohttp.ClientConnectorError as error:
        return f"{UNREACHABLE} ({error.os_error})"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{UNREACHABLE} ({error})"


def sync_request(url: str, keys: Keys) -> dict[str, Any]:
    """The headers and the data of the PUT that asks an app at a URL to register."""
    body = canonical({"url": url})
    headers = {Header.SERVER_KIND: keys.kind.value, Header.CONTENT_TYPE: "application/json"}
    if keys.signing is not None:
        headers[Header.SIGNATURE] = sign(keys.signing, body, int(time.time()))
    return {"headers": headers, "data": body}


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _judge(status: int, text: str) -> str:
    if status < 300:
        return PAGE if _is_page(text) else ""
    if status == 404:
        return "there is an HTTP server, but no Inngest endpoint at this path (404)"
    if status < 400:
        return f"it redirects ({status}); give the address it redirects to"
    return f"it refused to sync ({status}): {_message(text)}"


def _is_page(text: str) -> bool:
    """Whether this is HTML."""
    return text[:MAX_TEXT].lstrip().lower().startswith(("<!doctype html", "<html"))


def _message(text: str) -> str:
    """Find the readable part of an answer."""
    if _is_page(text) and (title := _TITLE.search(text)):
        text = html.unescape(title[1])
    document: Any = None
    with contextlib.suppress(ValueError):
        document = json.loads(text)
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    return " ".join(text.split())[:MAX_TEXT] or "it gave no reason"
