"""
Counts the database connections that calls leave open: run as a module, in a process of its own.

    python -m tests.contrib.django.probe_connections ENGINE NAME [HOST]

Prints JSON: by way of being asked and kind of function, how many connections were opened
and how many are open afterwards. The threads that served are still there then.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from django.conf import settings

CALLS = 12
THREADS = 4


def main() -> None:
    engine, name, *host = sys.argv[1:]
    configure(engine, name, host[0] if host else "")
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection
    from django.db.backends.signals import connection_created

    from inngest_contrib.testing.conformance import asgi, call, wsgi

    from .shop.models import Order

    with connection.schema_editor() as editor:
        editor.create_model(Order)
    Order.objects.create(name="first")
    connection.close()
    opened: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection)

    connection_created.connect(note)
    # One that the whole process keeps would hide what a thread leaves behind.
    with ThreadPoolExecutor(THREADS) as threads:
        ways: dict[str, Callable[[list[Any]], list[Any]]] = {
            "wsgi": lambda asked: list(
                threads.map(lambda one: wsgi.ask(application, one), asked, timeout=30)
            ),
            "asgi": lambda asked: asyncio.run(together(asked)),
            "neither, from a thread": lambda asked: list(threads.map(door_sync, asked)),
            "neither, on a loop": lambda asked: asyncio.run(door(asked)),
        }
        application, on_loop = WSGIHandler(), ASGIHandler()

        async def together(asked: list[Any]) -> list[Any]:
            return await asyncio.gather(*(asgi._answered(on_loop, one) for one in asked))

        found = {}
        for way, ask in ways.items():
            for function in ("blocking", "awaiting"):
                opened.clear()
                answers = ask([call(function)] * CALLS)
                assert [one.status for one in answers] == [200] * CALLS, answers[0]
                assert {one.body for one in answers} == {b"1"}, answers
                left = sum(one.connection is not None for one in opened)
                left += known_to_server(host[0], name) if engine == "postgresql" else 0
                found[f"{way}: {function}"] = {"opened": len(opened), "left": left}
    print(json.dumps(found))


def known_to_server(host: str, name: str) -> int:
    """How many connections PostgreSQL itself counts beside ours; it learns of an end a bit late."""
    import psycopg

    question = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
    with psycopg.connect(host=host, dbname=name, user="postgres", autocommit=True) as own:
        deadline = time.monotonic() + 5
        while True:
            row = own.execute(question).fetchone()
            others = int(row[0]) - 1 if row else 0
            if not others or time.monotonic() > deadline:
                return others
            time.sleep(0.05)


def configure(engine: str, name: str, host: str) -> None:
    database = {"ENGINE": f"django.db.backends.{engine}", "HOST": host, "NAME": name}
    database["USER"] = "postgres" if engine == "postgresql" else ""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INNGEST={"APP_ID": "shop", "DEV": True},
        INSTALLED_APPS=["inngest_contrib.django", "tests.contrib.django.shop"],
        ROOT_URLCONF="tests.contrib.django.urls",
    )
    from inngest_contrib.django import client
    from inngest_core import TriggerEvent

    trigger = TriggerEvent(event="a/b")

    @client.create_function(fn_id="blocking", trigger=trigger)
    def blocking(ctx: Any) -> Any:
        from .shop.models import Order

        return ctx.step.run("count", Order.objects.count) if ctx.attempt else Order.objects.count()

    @client.create_function(fn_id="awaiting", trigger=trigger)
    async def awaiting(ctx: Any) -> Any:
        from .shop.models import Order

        first, second = await asyncio.gather(Order.objects.acount(), Order.objects.acount())
        assert first == second
        return first

    django.setup()


def door_sync(asked: Any) -> Any:
    """Answer a call that is no request of Django, as a worker's is."""
    return _door().answer_sync(_request(asked))


async def door(asked: list[Any]) -> list[Any]:
    """As door_sync, on a loop."""
    return await asyncio.gather(*(_door().answer(_request(one)) for one in asked))


def _door() -> Any:
    from inngest_contrib.django import client
    from inngest_core import CommHandler

    return CommHandler(client=client, framework="connect")


def _request(asked: Any) -> Any:
    from urllib.parse import parse_qsl

    from inngest_core import CommRequest

    return CommRequest("POST", "http://app/x", {}, dict(parse_qsl(asked.query)), asked.body)


if __name__ == "__main__":
    main()
