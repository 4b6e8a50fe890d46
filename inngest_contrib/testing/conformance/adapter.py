"""What an adapter's tests tell the kit: how to serve, how to ask, what the framework cannot do."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inngest_core import Function, Inngest

from .exchange import PATH, Answered, Asked
from .functions import functions


class Adapter(abc.ABC):
    """
    The part of ``Conformance`` that is written for each adapter.

    framework: its name on the wire. path: where it serves unless told. routes: whether
    ``serve_path`` moves the route itself; not where a platform decides that. streams:
    whether ``serve`` takes ``streaming``. excused: names of rows in the tables that the
    framework answers itself or cannot be asked.
    """

    framework: str
    path: str = PATH
    routes: bool = True
    streams: bool = False
    excused: Collection[str] = ()

    @abc.abstractmethod
    def serve(
        self, client: Inngest, functions: Sequence[Function[Any]] | None = None, **options: Any
    ) -> Any:
        """Serve functions in a new app of the framework. options: of the adapter's ``serve``."""

    @abc.abstractmethod
    def ask(self, app: Any, asked: Asked) -> Answered:
        """Make a request of the app; called from several threads at once."""

    @abc.abstractmethod
    def is_raw_request(self, raw: object) -> bool:
        """Whether *raw* is what middleware is promised as its request."""

    def ask_all(self, app: Any, asked: Sequence[Asked]) -> list[Answered]:
        """Make all these requests at the same time."""
        with ThreadPoolExecutor(len(asked)) as threads:
            return list(threads.map(lambda one: self.ask(app, one), asked))

    def behind_proxy(self, app: Any) -> Any:
        """
        The app, told to trust the ``X-Forwarded-Proto`` of the proxy in front of it.

        None where the framework has no way to say so.
        """
        return None

    def mounted(self, app: Any, prefix: str) -> Any:
        """An app that serves *app* below *prefix*; None where the framework mounts nothing."""
        return None

    # ---- what the claims are made of

    def request(self, app: Any, asked: Asked) -> Answered:
        """Ask at the adapter's own path where a request names no other."""
        return self.ask(app, self.addressed(asked))

    def addressed(self, asked: Asked) -> Asked:
        """A request for the usual path, sent to the adapter's own."""
        return dataclasses.replace(asked, path=self.path) if asked.path == PATH else asked

    def answer(self, client: Inngest, asked: Asked, **options: Any) -> Answered:
        """Serve the kit's functions and make one request."""
        return self.request(self.serve(client, functions(client), **options), asked)
