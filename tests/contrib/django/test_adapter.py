"""The Django adapter, by the conformance kit, blocking and on a loop, and by what is its own."""

from __future__ import annotations

import asyncio
import contextvars
import io
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import django
import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import RequestFactory, override_settings
from django.urls import URLPattern, include, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

import inngest_core as inngest
from inngest_contrib.django.adapter import Endpoint, new_handler, serve
from inngest_contrib.testing.conformance import (
    PATH,
    Answered,
    ASGIConformance,
    Asked,
    RecordedServer,
    WSGIConformance,
    call,
    cloud_client,
    dev_client,
    functions,
    signed,
)
from inngest_contrib.testing.conformance.wsgi import asked_with, environ_of


class Urls(ModuleType):
    """A URLconf that is no file."""

    def __init__(self, *patterns: Any) -> None:
        super().__init__("urls_under_test")
        self.urlpatterns = list(patterns)


class Project:
    """What a project of its own consists of: its URLs, and the settings in which it differs."""

    def __init__(self, *patterns: Any, **settings: Any) -> None:
        self.patterns = patterns
        self.settings = settings
        self.urls = Urls(*patterns)
        with override_settings(**settings):
            self.wsgi = _WSGI(self)
            self.asgi = _ASGI(self)


class _WSGI(WSGIHandler):
    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        request.urlconf = self.project.urls  # type: ignore[assignment]  # what middleware may set
        return super().get_response(request)


class _ASGI(ASGIHandler):
    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        request.urlconf = self.project.urls  # type: ignore[assignment]  # what middleware may set
        return await super().get_response_async(request)


class InProject:
    """What both kinds of conformance share: an app is a Project."""

    framework = "django"

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        return Project(serve(client, functions, **options))

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, HttpRequest) and raw.path == PATH

    def behind_proxy(self, app: Any) -> Any:
        trusting = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
        return Project(*app.patterns, **trusting)

    def mounted(self, app: Any, prefix: str) -> Any:
        return Project(path(prefix.strip("/") + "/", include(list(app.patterns))))


class TestDjangoUnderWSGI(InProject, WSGIConformance):
    def ask(self, app: Project, asked: Asked) -> Answered:
        with override_settings(**app.settings) if app.settings else nullcontext():
            return super().ask(app.wsgi, asked)


class TestDjangoUnderASGI(InProject, ASGIConformance):
    streams = True

    def ask(self, app: Project, asked: Asked) -> Answered:
        with override_settings(**app.settings) if app.settings else nullcontext():
            answered = super().ask(app.asgi, asked)
        # Names in pages of Django's own are as Django writes them.
        return replace(answered, headers={k.lower(): v for k, v in answered.headers.items()})

    def ask_all(self, app: Project, asked: Sequence[Asked]) -> list[Answered]:
        return super().ask_all(app.asgi, asked)


WSGI, ASGI = TestDjangoUnderWSGI(), TestDjangoUnderASGI()
both = pytest.mark.parametrize("under", [WSGI, ASGI], ids=["wsgi", "asgi"])
every = pytest.mark.parametrize("function", ["plain", "aplain"])


def shop(**settings: Any) -> Project:
    """A project that serves the kit's functions."""
    client = dev_client()
    return Project(serve(client, functions(client)), **settings)


# ---- one view, native on both sides


def test_the_view_is_blocking_in_a_thread_and_async_on_a_loop() -> None:
    client = dev_client()
    view = Endpoint(lambda: new_handler(client, functions(client)))

    async def on_loop() -> bool:
        return iscoroutinefunction(view)

    assert not iscoroutinefunction(view)
    assert asyncio.run(on_loop())


@every
@both
def test_no_thread_is_changed_where_none_must_be(under: Any, function: str) -> None:
    """A blocking function under WSGI is in the thread of the request, an async one on its loop."""
    client, seen = dev_client(), []

    def plain(ctx: Any) -> None:
        seen.append(threading.current_thread())

    async def aplain(ctx: Any) -> None:
        seen.append(threading.current_thread())

    for fn_id, handler in (("plain", plain), ("aplain", aplain)):
        client.create_function(fn_id=fn_id, trigger=inngest.TriggerEvent(event="a"))(handler)
    app = Project(serve(client))
    assert under.ask(app, call(function)).status == 200
    native = (under is WSGI) == (function == "plain")
    assert (seen == [threading.current_thread()]) == native
    client.close()


@every
@both
def test_context_variables_of_a_request_reach_the_function(under: Any, function: str) -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    client = dev_client()

    async def aplain(ctx: Any) -> str:
        return name.get()

    make = client.create_function
    make(fn_id="plain", trigger=inngest.TriggerEvent(event="a"))(lambda ctx: name.get())
    make(fn_id="aplain", trigger=inngest.TriggerEvent(event="a"))(aplain)
    app = Project(serve(client))
    name.set("request")
    assert under.ask(app, call(function)).json == "request"
    client.close()


@every
def test_an_async_middleware_outside_does_not_stop_a_blocking_server(function: str) -> None:
    asked: list[HttpRequest] = []

    @markcoroutinefunction
    def middleware(get_response: Any) -> Any:
        async def handle(request: HttpRequest) -> Any:
            asked.append(request)
            return await get_response(request)

        return markcoroutinefunction(handle)

    middleware.async_capable, middleware.sync_capable = True, False  # type: ignore[attr-defined]
    module = ModuleType("async_outside")
    module.middleware = middleware  # type: ignore[attr-defined]
    sys.modules["async_outside"] = module
    client = dev_client()

    async def aplain(ctx: Any) -> Any:
        return await sync_to_async(lambda: "in a thread")()

    make = client.create_function
    make(fn_id="plain", trigger=inngest.TriggerEvent(event="a"))(lambda ctx: "in a thread")
    make(fn_id="aplain", trigger=inngest.TriggerEvent(event="a"))(aplain)
    app = Project(serve(client), MIDDLEWARE=["async_outside.middleware"])
    assert WSGI.ask(app, call(function)).json == "in a thread"
    assert len(asked) == 1
    client.close()


def test_database_work_after_the_end_of_a_call_is_refused_and_said() -> None:
    client = dev_client()
    late: list[str] = []

    async def leaves(ctx: Any) -> None:
        async def later() -> None:
            while not ended.is_set():
                await asyncio.sleep(0)
            try:
                await sync_to_async(int)()
            except RuntimeError as error:
                late.append(str(error))
            told.set()

        tasks.append(asyncio.create_task(later()))

    tasks: list[Any] = []
    ended, told = threading.Event(), threading.Event()
    client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="a"))(leaves)
    assert WSGI.ask(Project(serve(client)), call("f")).status == 200
    ended.set()
    assert told.wait(10)
    assert "before the function returns" in late[0]
    client.close()


# ---- the traps


@both
def test_atomic_requests_surround_no_call_on_any_database(under: Any) -> None:
    client = dev_client()
    seen: list[bool] = []

    def plain(ctx: Any) -> None:
        seen.extend(connections[alias].in_atomic_block for alias in connections)

    client.create_function(fn_id="plain", trigger=inngest.TriggerEvent(event="a"))(plain)
    app = Project(serve(client))
    for alias in connections:
        connections.settings[alias]["ATOMIC_REQUESTS"] = True
    try:
        assert under.ask(app, call("plain")).status == 200
    finally:
        for alias in connections:
            connections.settings[alias]["ATOMIC_REQUESTS"] = False
    assert seen == [False, False]


CSRF = "django.middleware.csrf.CsrfViewMiddleware"


@both
def test_no_csrf_token_is_asked_for(under: Any) -> None:
    app = shop(MIDDLEWARE=[CSRF])
    assert under.ask(app, call("plain")).status == 200
    assert under.ask(app, Asked("PUT")).status == 200


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware is of Django 5.1")
@both
def test_no_login_is_asked_for(under: Any) -> None:
    auth = "django.contrib.auth.middleware.AuthenticationMiddleware"
    login = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    session = "django.contrib.sessions.middleware.SessionMiddleware"
    app = shop(MIDDLEWARE=[session, auth, login])
    assert under.ask(app, call("plain")).status == 200


@pytest.mark.parametrize("append", [True, False])
@both
def test_no_form_of_the_path_is_redirected(under: Any, append: bool) -> None:
    common = "django.middleware.common.CommonMiddleware"
    app = shop(APPEND_SLASH=append, MIDDLEWARE=[common])
    for form in (PATH, f"{PATH}/"):
        assert under.ask(app, call("plain", path=form)).status == 200


def test_the_root_itself_may_be_the_endpoint() -> None:
    client = dev_client()
    app = Project(serve(client, functions(client), serve_path="/"))
    assert WSGI.ask(app, call("plain", path="/")).status == 200


EVIL = Asked("PUT", headers={"host": "evil.example"})
HOSTS = {"ALLOWED_HOSTS": ["shop.example"]}
CLEAR = "inngest_contrib.django.middleware.HostMiddleware"


@pytest.mark.parametrize("middleware", [[], [CLEAR, "django.middleware.common.CommonMiddleware"]])
@both
def test_a_disallowed_host_is_told_in_json(under: Any, middleware: list[str]) -> None:
    answered = under.ask(shop(MIDDLEWARE=middleware, **HOSTS), EVIL)
    assert answered.status == 400
    assert answered.headers["content-type"] == "application/json"
    assert answered.json["code"] == "host_disallowed"
    assert "'evil.example' to ALLOWED_HOSTS" in answered.json["message"]


@both
def test_a_host_that_is_refused_elsewhere_is_refused_as_django_does(under: Any) -> None:
    app = shop(MIDDLEWARE=[CLEAR, "django.middleware.common.CommonMiddleware"], **HOSTS)
    answered = under.ask(app, Asked("GET", "/other", headers={"host": "evil.example"}))
    assert answered.status == 400
    assert "html" in answered.headers["content-type"]
    allowed = under.ask(app, Asked("GET", headers={"host": "shop.example"}))
    assert allowed.status == 200


@both
def test_a_forwarded_host_is_believed_where_django_believes_it(under: Any) -> None:
    server = RecordedServer()
    client = dev_client(server)
    app = Project(serve(client), USE_X_FORWARDED_HOST=True)
    asked = Asked("PUT", headers={"host": "10.0.0.1", "x-forwarded-host": "shop.example"})
    assert under.ask(app, asked).status == 200
    assert server.bodies[0]["url"] == f"http://shop.example{PATH}"


@both
def test_bodies_are_read_whatever_the_limit_of_forms_is(under: Any) -> None:
    app = shop(DATA_UPLOAD_MAX_MEMORY_SIZE=10, DATA_UPLOAD_MAX_NUMBER_FIELDS=1)
    assert under.ask(app, call("plain")).status == 200


@both
def test_many_parameters_are_no_form(under: Any) -> None:
    app = shop(DATA_UPLOAD_MAX_NUMBER_FIELDS=1)
    assert under.ask(app, Asked("GET", query="&".join("a=1" for _ in range(2000)))).status == 200


@both
def test_bytes_beyond_utf8_in_the_query_are_answered_in_json(under: Any) -> None:
    answered = under.ask(shop(), Asked(query="fnId=%ff"))
    assert (answered.status, answered.json["code"]) == (400, "body_invalid")


@both
def test_middleware_reads_the_body_before_and_after(under: Any) -> None:
    read: list[bytes] = []

    class Reading(inngest.MiddlewareSync):
        def before_execution(self) -> None:
            read.append(self.raw_request.body)  # type: ignore[attr-defined]  # an HttpRequest

    client = dev_client(middleware=[Reading])
    asked = call("plain")
    assert under.ask(Project(serve(client, functions(client))), asked).status == 200
    assert read == [asked.body]


def test_a_body_that_was_read_before_is_still_there() -> None:
    client = dev_client()
    endpoint = serve(client, functions(client)).callback
    asked = call("plain")
    request = RequestFactory().post(asked.target, asked.body, content_type="application/json")
    assert request.body == asked.body
    assert endpoint(request).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_is_answered() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("connection reset")

    client = dev_client()
    environ = {**environ_of(call("plain")), "wsgi.input": Broken(b"x")}
    answered = asked_with(Project(serve(client, functions(client))).wsgi, environ)
    assert (answered.status, answered.json["code"]) == (400, "body_unreadable")


@both
def test_no_cache_keeps_a_reply(under: Any) -> None:
    cache = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    client = cloud_client()
    app = Project(serve(client, functions(client)), MIDDLEWARE=cache)
    assert under.ask(app, signed(Asked("GET"))).status == 200
    assert under.ask(app, Asked("GET")).status == 401


def test_serve_gives_one_url_that_can_be_reversed() -> None:
    client = dev_client()
    pattern = serve(client, functions(client))
    assert isinstance(pattern, URLPattern)
    assert reverse("inngest", urlconf=cast(Any, Urls(pattern))) == PATH


def test_an_endpoint_may_be_decorated_as_any_view() -> None:
    client = dev_client()
    pattern = serve(client, functions(client))
    decorated = Project(path("x", never_cache(csrf_exempt(pattern.callback))))
    for under in (WSGI, ASGI):
        assert under.ask(decorated, call("plain", path="/x")).status == 200
