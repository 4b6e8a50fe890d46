"""
One call request through Django: our endpoint beside a bare view, and beside the official package.

Each side is a URLconf of its own, called through Django's WSGI or ASGI handler without
a server: what a view adds is what it takes beyond a bare one that reads the body and
returns JSON. Unsigned, no middleware, no memos. All sides take turns in one run; the
figures are medians of the processor's time, of all threads together: other programs
disturb that less.

    python -m benchmarks.django_view [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import django
import inngest
import inngest.django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

import inngest_contrib.django
import inngest_core

from .replay import body_of

PATH = "/api/inngest"
QUERY = "fnId=bench-f&stepId=step"
BODY = body_of(0)
SECONDS_A_SAMPLE = 0.2
LIMIT = 80.0
Timer = Callable[[int], float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="bench_urls")
    sys.modules["bench_urls"] = ModuleType("bench_urls")
    django.setup()
    loop = asyncio.new_event_loop()
    print(
        f"Django {django.get_version()}; microseconds a request, and what is added to a bare view"
    )
    heading = ("under", "function", "bare", "ours", "added", "official", "added")
    print(" ".join(f"{name:>9}" for name in heading))
    good = [
        report(under, is_async, options.rounds, loop)
        for under in ("WSGI", "ASGI")
        for is_async in (False, True)
    ]
    loop.close()
    return 0 if all(good) else 1


def report(under: str, is_async: bool, rounds: int, loop: Any) -> bool:
    """Measure one cell, print its line, and say whether it is as promised."""
    sides = [timer(under, view, loop) for view in (bare(under), ours(is_async), official(is_async))]
    counts = [max(1, int(SECONDS_A_SAMPLE / (side(20) / 1e6))) for side in sides]
    samples: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for found, side, count in zip(samples, sides, counts, strict=True):
            found.append(side(count))
    plain, own, theirs = map(statistics.median, samples)
    added, theirs_added = own - plain, theirs - plain
    kind = "async" if is_async else "sync"
    figures = " ".join(f"{figure:9.0f}" for figure in (plain, own, added, theirs, theirs_added))
    print(f"{under:>9} {kind:>9} {figures}", flush=True)
    native = is_async == (under == "ASGI")
    return own <= theirs and (added < LIMIT or not native)


# ---- the views


def bare(under: str) -> Any:
    """A view that reads its body and answers, as the server's side wants views."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        json.loads(request.body)
        return HttpResponse(b"null", content_type="application/json")

    @csrf_exempt
    async def async_view(request: HttpRequest) -> HttpResponse:
        return view(request)

    return path(PATH.lstrip("/"), view if under == "WSGI" else async_view)


def ours(is_async: bool) -> Any:
    client = inngest_core.Inngest(app_id="bench", is_production=False)
    trigger = inngest_core.TriggerEvent(event="bench")
    return inngest_contrib.django.serve(
        client, [client.create_function(fn_id="f", trigger=trigger)(handler(is_async))]
    )


def official(is_async: bool) -> Any:
    client = inngest.Inngest(app_id="bench", is_production=False)
    trigger = inngest.TriggerEvent(event="bench")
    return inngest.django.serve(
        client, [client.create_function(fn_id="f", trigger=trigger)(handler(is_async))]
    )


def handler(is_async: bool) -> Any:
    def function(ctx: Any) -> None: ...

    async def async_function(ctx: Any) -> None: ...

    return async_function if is_async else function


# ---- asking


def timer(under: str, pattern: Any, loop: Any) -> Timer:
    """What tells the microseconds of one of *count* requests, in a row."""
    urls = ModuleType("urls")
    vars(urls)["urlpatterns"] = [pattern]
    if under == "WSGI":
        return lambda count: ask_wsgi(urls, count)
    return lambda count: loop.run_until_complete(ask_asgi(urls, count))


def ask_wsgi(urls: ModuleType, count: int) -> float:
    handler = WSGIHandler()
    started = time.process_time()
    for _ in range(count):
        request = WSGIRequest(environ())
        request.urlconf = urls  # type: ignore[assignment]  # what middleware may set
        response = handler.get_response(request)
        assert response.status_code == 200
    return (time.process_time() - started) / count * 1e6


def environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": QUERY,
        "CONTENT_LENGTH": str(len(BODY)),
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "app.example",
        "HTTP_USER_AGENT": "Inngest",
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.url_scheme": "http",
    }


async def ask_asgi(urls: ModuleType, count: int) -> float:
    handler = ASGIHandler()
    started = time.process_time()
    for _ in range(count):
        request = ASGIRequest(scope(), io.BytesIO(BODY))
        request.urlconf = urls  # type: ignore[assignment]  # what middleware may set
        response = await handler.get_response_async(request)
        assert response.status_code == 200
    return (time.process_time() - started) / count * 1e6


def scope() -> dict[str, Any]:
    headers = {
        b"host": b"app.example",
        b"content-length": str(len(BODY)).encode(),
        b"content-type": b"application/json",
        b"user-agent": b"Inngest",
    }
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": PATH,
        "query_string": QUERY.encode(),
        "scheme": "http",
        "headers": list(headers.items()),
    }


if __name__ == "__main__":
    sys.exit(main())
