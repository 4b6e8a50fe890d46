"""
The project's client: ``from inngest_contrib.django import client``.

It is made from the settings when it is first used, so that functions can be written
before apps are ready. CLIENT in the settings puts the project's own in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.utils.functional import LazyObject, empty

from inngest_core import Event, EventSeed, Function, Inngest
from inngest_core.settings import CLIENT, Settings

from . import commit, conf
from .calls import CallMiddleware
from .plugin import NAME as PLUGIN
from .signals import atell, events_sent

if TYPE_CHECKING:
    _Base = Inngest
else:
    _Base = LazyObject

MIDDLEWARE = "MIDDLEWARE"
Creation = Callable[[Inngest], Function[Any]]


class Project:
    """
    Makes the client of a project, keeps it, and makes it anew when INNGEST changes.

    Functions that were created on a client that was made here are created on the next
    one as well; the project's own client keeps its own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: Inngest | None = None
        self._made_here = False
        self._lacks_middleware = False
        self._creations: list[Creation] = []
        conf.on_change(self.forget)

    def client(self) -> Inngest:
        """The client. Raises ConfigError naming the setting that is wrong."""
        with self._lock:
            if self._client is None:
                self._client = self._made(conf.current())
            if self._lacks_middleware and apps.models_ready:
                self._lacks_middleware = False
                self._add_middleware(self._client)
            return self._client

    def create(self, creation: Creation) -> Function[Any]:
        """Create a function on the client."""
        with self._lock:
            created = creation(self.client())
            if self._made_here:
                self._creations.append(creation)
            return created

    def forget(self) -> None:
        """Make another client when one is needed."""
        with self._lock:
            self._client = None

    def _made(self, settings: Settings) -> Inngest:
        self._made_here = CLIENT not in settings.values
        if not self._made_here:
            client = settings.client()
            if CallMiddleware not in client.middleware:
                client.add_middleware(CallMiddleware)
            return client
        # Its modules may import models, and those need all apps, if there are any.
        self._lacks_middleware = not apps.models_ready and MIDDLEWARE in settings.values
        client = Inngest(**_arguments(settings, without_middleware=self._lacks_middleware))
        for creation in self._creations:
            creation(client)
        return client

    def _add_middleware(self, client: Inngest) -> None:
        for one in conf.current().client_arguments()["middleware"]:
            client.add_middleware(one)


def _arguments(settings: Settings, *, without_middleware: bool) -> dict[str, Any]:
    left_out = {MIDDLEWARE} if without_middleware else set()
    values = {key: value for key, value in settings.values.items() if key not in left_out}
    arguments = replace(settings, values=values).client_arguments()
    return {**arguments, "plugins": [*arguments.get("plugins", ()), PLUGIN]}


project = Project()


class ProjectClient(_Base):
    """
    The project's ``Inngest``, made when it is first used.

    ``send`` and ``send_sync`` wait for the end of the transaction where the setting
    SEND_ON_COMMIT says so; what they send is told by the signal ``events_sent``.
    """

    if not TYPE_CHECKING:

        def __init__(self) -> None:
            super().__init__()
            conf.on_change(self._forget)

        def __repr__(self) -> str:
            unused = "<the project's Inngest, not used yet>"
            return unused if self._wrapped is empty else repr(self._wrapped)

        def _setup(self) -> None:
            self._wrapped = project.client()

        @property
        def config(self) -> Any:
            # Whoever serves the client asks for this: by then apps are ready, for middleware.
            return project.client().config

        def _forget(self) -> None:
            self._wrapped = empty

        def create_function(self, **options: Any) -> Callable[..., Function[Any]]:
            """See Inngest.create_function."""
            # At once, so that what is wrong with the options is told where they stand.
            project.client().create_function(**options)
            return lambda handler: project.create(
                lambda client: client.create_function(**options)(handler)
            )

    async def send(
        self,
        events: Event | list[Event],
        *,
        skip_middleware: bool = False,
        seed: EventSeed | None = None,
    ) -> list[str]:
        """See Inngest.send."""
        if conf.sends_on_commit() and seed is None:
            # The transaction is one of the thread below, where there is one.
            return await sync_to_async(self.send_sync)(events, skip_middleware=skip_middleware)
        client = project.client()
        ids = await client.send(events, skip_middleware=skip_middleware, seed=seed)
        await atell(events_sent, Inngest, client=client, events=_as_list(events), ids=ids)
        return ids

    def send_sync(
        self,
        events: Event | list[Event],
        *,
        skip_middleware: bool = False,
        seed: EventSeed | None = None,
    ) -> list[str]:
        """See Inngest.send_sync."""
        if conf.sends_on_commit() and seed is None and commit.in_transaction():
            return self.send_on_commit(events, skip_middleware=skip_middleware)
        return commit.send_now(
            project.client(), _as_list(events), skip_middleware=skip_middleware, seed=seed
        )

    def send_on_commit(
        self,
        events: Event | list[Event],
        *,
        using: str | None = None,
        skip_middleware: bool = False,
        robust: bool = False,
    ) -> list[str]:
        """See inngest_contrib.django.send_on_commit."""
        return commit.send_on_commit(
            events,
            client=project.client(),
            using=using,
            skip_middleware=skip_middleware,
            robust=robust,
        )


def _as_list(events: Event | list[Event]) -> Any:
    """*events* as a list; what is neither is left to the core to refuse."""
    return [events] if isinstance(events, Event) else events


client = ProjectClient()  # type: ignore[call-arg]  # it asks the settings
