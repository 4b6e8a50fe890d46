"""Events, functions and runs through REST framework."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient
from rest_framework.throttling import BaseThrottle

import inngest_core as inngest
from inngest_contrib.devserver.instance import DevServer, free_port
from inngest_contrib.django import client
from inngest_contrib.django.project import project as the_project
from inngest_contrib.django.rest.parsing import MAX_BODY
from inngest_contrib.django.rest.routes import router
from inngest_contrib.testing.conformance import RecordedServer
from inngest_core.wire.http import HttpResponse

from .conftest import Alone
from .test_adapter import Urls
from .test_checks import found

RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
API = path("api/jobs/", include("inngest_contrib.django.rest.urls"))
ADMIN = User(username="admin", is_staff=True)


@pytest.fixture
def server(project: Any) -> Iterator[RecordedServer]:
    """A server in memory, and the API at /api/jobs."""
    made = RecordedServer()
    given = {"APP_ID": "shop", "DEV": True, "PLUGINS": [made]}
    with override_settings(INNGEST=given, ROOT_URLCONF=Urls(API)):
        yield made


@pytest.fixture
def api(server: RecordedServer) -> APIClient:
    """An admin's client."""
    made = APIClient()
    made.force_authenticate(ADMIN)
    return made


def post(api: APIClient, where: str, body: Any) -> Any:
    data: Any = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.generic("POST", f"/api/jobs/{where}", data, content_type="application/json")


# ---- who may


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("POST", "events/"),
        ("GET", "functions/"),
        ("GET", "functions/shop-found/"),
        ("GET", "runs/"),
        ("GET", f"runs/{RUN}/"),
        ("POST", f"runs/{RUN}/cancel/"),
        ("POST", f"runs/{RUN}/rerun/"),
    ],
)
def test_only_admins_are_let_in(server: RecordedServer, method: str, where: str) -> None:
    for user in (None, User(username="somebody")):
        someone = APIClient()
        if user is not None:
            someone.force_authenticate(user)
        assert someone.generic(method, f"/api/jobs/{where}").status_code in (401, 403)
    assert server.requests == []


def test_a_router_may_let_others_in_and_throttle_them(server: RecordedServer) -> None:
    class Never(BaseThrottle):
        def allow_request(self, request: Any, view: Any) -> bool:
            return False

    open_to_all = router(permission_classes=[AllowAny])
    throttled = router(permission_classes=[AllowAny], throttle_classes=[Never])
    urls = Urls(path("o/", include(open_to_all.urls)), path("t/", include(throttled.urls)))
    with override_settings(ROOT_URLCONF=urls):
        event = {"name": "shop/found"}
        assert APIClient().post("/o/events/", event, format="json").status_code == 201
        assert APIClient().post("/t/events/", event, format="json").status_code == 429


# ---- events


def test_an_event_is_sent_and_its_id_returned(api: APIClient, server: RecordedServer) -> None:
    response = post(api, "events/", {"name": "shop/found", "data": {"n": [1, None]}, "id": "x"})
    assert (response.status_code, response.json()) == (201, {"ids": ["id-0"]})
    (event,) = server.bodies[0]
    assert (event["name"], event["data"], event["id"]) == ("shop/found", {"n": [1, None]}, "x")


def test_a_list_is_sent_as_one(api: APIClient, server: RecordedServer) -> None:
    response = post(api, "events/", [{"name": "shop/found"}] * 3)
    assert len(response.json()["ids"]) == 3
    assert len(server.requests) == 1


HOSTILE: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "JSON parse error"),
    "not UTF-8": (b"\xff\xfe", 400, ""),
    "a number": (1, 400, "Invalid data"),
    "no name": ({"data": {}}, 400, "This field is required"),
    "an empty list": ([], 400, ""),
    "too many": ([{"name": "shop/found"}] * 101, 400, "no more than 100"),
    "unknown name": ({"name": "shop/fount"}, 400, "Did you mean shop/found?"),
    "a server's own": ({"name": "inngest/function.failed"}, 400, "the server's own"),
    "data is a list": ({"name": "shop/found", "data": [1]}, 400, "dictionary"),
    "NaN": (b'{"name": "shop/found", "data": {"n": NaN}}', 400, "JSON parse error"),
    "deep": (b'{"name":"shop/found","data":{"n":' + b"[" * 100 + b"]" * 100 + b"}}", 400, "deep"),
    "very deep": (b"[" * 100_000, 400, ""),
    "half a character": (b'{"name":"shop/found","data":{"n":"\\ud800"}}', 400, "not JSON"),
    "NUL in a name": (b'{"name":"shop/found\\u0000"}', 400, "Null characters"),
    "time in the past": ({"name": "shop/found", "ts": -1}, 400, "greater than or equal"),
    "a time that is text": ({"name": "shop/found", "ts": "soon"}, 400, "valid integer"),
    "a long name": ({"name": "x" * 10_000}, 400, "no more than 256"),
    "too large": (b" " * (MAX_BODY + 1), 413, "too large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_payloads_are_refused(api: APIClient, server: RecordedServer, name: str) -> None:
    body, status, said = HOSTILE[name]
    response = post(api, "events/", body)
    assert response.status_code == status, response.content[:300]
    assert response["content-type"] == "application/json"
    assert said in response.content.decode()
    assert len(server.requests) == (status == 201)


def test_another_content_type_is_not_read(api: APIClient) -> None:
    response = api.generic("POST", "/api/jobs/events/", "name=x", content_type="text/plain")
    assert response.status_code == 415


def test_the_events_that_may_be_sent_can_be_named(server: RecordedServer) -> None:
    made = router(permission_classes=[AllowAny], event_types=["public/*"])
    with override_settings(ROOT_URLCONF=Urls(path("", include(made.urls)))):
        for name, status in (("public/a", 201), ("shop/found", 400)):
            response = APIClient().post("/events/", {"name": name}, format="json")
            assert response.status_code == status


# ---- functions


def test_functions_are_listed_and_shown(api: APIClient) -> None:
    listed = api.get("/api/jobs/functions/").json()
    assert {"shop-found", "shop-afound"} <= {one["id"] for one in listed}
    for name in ("shop-found", "found"):
        shown = api.get(f"/api/jobs/functions/{name}/").json()
        assert shown == {
            "id": "shop-found",
            "name": "found",
            "is_async": False,
            "retries": None,
            "triggers": [{"event": "shop/found"}],
        }
    assert api.get("/api/jobs/functions/nothing/").status_code == 404


# ---- runs


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=²", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("status=LOST", "status"),
    ],
)
def test_wrong_filters_are_named(
    api: APIClient, server: RecordedServer, query: str, field: str
) -> None:
    response = api.get(f"/api/jobs/runs/?{query}")
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert server.requests == []


@pytest.mark.parametrize("run_id", ["x", "..", RUN.lower(), f"{RUN}0", "%2e%2e%2fapps", "' OR 1=1"])
def test_what_is_no_run_id_is_not_asked_for(
    api: APIClient, server: RecordedServer, run_id: str
) -> None:
    assert api.get(f"/api/jobs/runs/{run_id}/").status_code == 404
    assert server.requests == []


def answering(server: RecordedServer, status: int, body: bytes) -> None:
    server.take = lambda request: HttpResponse(status, {}, body)  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("status", "body", "expected", "said"),
    [
        (404, b'{"errors":[{"message":"Run not found"}]}', 404, "Run not found"),
        (401, b"Authentication failed", 502, "Authentication failed"),
        (500, b"", 502, "no reason"),
        (409, b'{"error":"already ended"}', 409, "already ended"),
        (200, b"<html>", 502, "no JSON"),
        (200, b'{"data":{"id":"x","app":{"id":"another"}}}', 404, "Run not found"),
    ],
)
def test_refusals_of_the_server_are_told(
    api: APIClient, server: RecordedServer, status: int, body: bytes, expected: int, said: str
) -> None:
    answering(server, status, body)
    response = api.get(f"/api/jobs/runs/{RUN}/")
    assert response.status_code == expected
    assert said in response.json()["detail"]


def test_an_unreachable_server_is_told(project: Any) -> None:
    nobody = {"APP_ID": "shop", "DEV": f"http://127.0.0.1:{free_port()}"}
    with override_settings(INNGEST=nobody, ROOT_URLCONF=Urls(API)):
        api = APIClient()
        api.force_authenticate(ADMIN)
        response = api.get("/api/jobs/runs/")
        assert response.status_code == 503
        assert "inngest-core dev" in response.json()["detail"]


def test_without_an_event_key_nothing_can_be_sent(project: Any) -> None:
    cloud = {"APP_ID": "shop", "DEV": False}
    with override_settings(INNGEST=cloud, ROOT_URLCONF=Urls(API)):
        api = APIClient()
        api.force_authenticate(ADMIN)
        response = post(api, "events/", {"name": "shop/found"})
        assert "INNGEST_EVENT_KEY" in response.json()["detail"]
        assert response.status_code == 400


def eventually(ask: Any, wanted: Any) -> Any:
    import time

    deadline = time.monotonic() + 30
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def test_runs_on_a_server_are_listed_shown_cancelled_and_repeated(project: Any) -> None:
    port = free_port()
    given = {"APP_ID": "shop", "DEV": f"http://127.0.0.1:{port}"}
    with override_settings(INNGEST=given, ROOT_URLCONF=Urls(API)):

        @client.create_function(fn_id="naps", trigger=inngest.TriggerEvent(event="shop/naps"))
        async def naps(ctx: inngest.Context) -> str:
            await ctx.step.run("before", lambda: {"n": 1})
            await ctx.step.sleep("nap", "1h")
            return "awake"

        @client.create_function(fn_id="quick", trigger=inngest.TriggerEvent(event="shop/quick"))
        async def quick(ctx: inngest.Context) -> str:
            return "done"

        with DevServer(app=the_project.client(), port=port):
            api = APIClient()
            api.force_authenticate(ADMIN)
            assert post(api, "events/", [{"name": "shop/naps"}] * 2).status_code == 201
            assert post(api, "events/", {"name": "shop/quick"}).status_code == 201
            listed = eventually(
                lambda: api.get("/api/jobs/runs/?status=completed").json()["results"], bool
            )
            assert [(one["function"], one["status"]) for one in listed] == [("quick", "COMPLETED")]
            page = eventually(
                lambda: api.get("/api/jobs/runs/?function=naps&limit=1").json(),
                lambda page: page["next"],
            )
            first = page["results"][0]
            assert first["app"] == "shop"
            second = api.get(page["next"]).json()["results"][0]
            assert second["id"] != first["id"]
            shown = eventually(
                lambda: api.get(f"/api/jobs/runs/{first['id']}/").json(),
                lambda shown: len(shown["steps"]) == 2,
            )
            assert [step["name"] for step in shown["steps"]] == ["before", "nap"]
            cancelled = post(api, f"runs/{first['id']}/cancel/", b"")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
            assert post(api, f"runs/{first['id']}/cancel/", b"").status_code == 409
            again = post(api, f"runs/{listed[0]['id']}/rerun/", {})
            assert again.status_code == 201
            assert again.json()["of"] == listed[0]["id"]
            done = eventually(
                lambda: api.get(f"/api/jobs/runs/{again.json()['id']}/").json(),
                lambda run: run["status"] == "COMPLETED",
            )
            assert done["output"]
            wrong = post(api, f"runs/{listed[0]['id']}/rerun/", {"input": [1]})
            assert (wrong.status_code, list(wrong.json())) == (400, ["input"])
    the_project.client().close()


# ---- what others see


def test_the_schema_is_valid_and_tells_what_there_is(server: RecordedServer) -> None:
    generator = SchemaGenerator(urlconf=Urls(API))
    schema = generator.get_schema(request=None, public=True)
    validate_schema(schema)
    paths = {
        where.removeprefix("/api/jobs"): set(found) for where, found in schema["paths"].items()
    }
    assert paths == {
        "/events/": {"post"},
        "/functions/": {"get"},
        "/functions/{id}/": {"get"},
        "/runs/": {"get"},
        "/runs/{id}/": {"get"},
        "/runs/{id}/cancel/": {"post"},
        "/runs/{id}/rerun/": {"post"},
    }
    listed = schema["paths"]["/api/jobs/runs/"]["get"]
    assert {one["name"] for one in listed["parameters"]} == {
        "cursor",
        "function",
        "limit",
        "status",
    }
    answers = listed["responses"]["200"]["content"]["application/json"]["schema"]
    assert "next" in json.dumps(schema["components"]["schemas"][answers["$ref"].split("/")[-1]])
    sent = schema["paths"]["/api/jobs/events/"]["post"]
    assert list(sent["responses"]) == ["201"]


def test_the_schema_is_made_without_a_warning(
    server: RecordedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS

    GENERATOR_STATS.reset()
    SchemaGenerator(urlconf=Urls(API)).get_schema(request=None, public=True)
    assert not GENERATOR_STATS, capsys.readouterr().err


@pytest.mark.parametrize("where", ["", "events/", "functions/"])
def test_it_can_be_browsed(api: APIClient, where: str) -> None:
    response = api.get(f"/api/jobs/{where}", HTTP_ACCEPT="text/html")
    assert response.status_code in (200, 405)
    assert b"<html" in response.content


def test_runs_can_be_browsed(api: APIClient, server: RecordedServer) -> None:
    answering(server, 200, b'{"data":[],"page":{"hasMore":false}}')
    response = api.get("/api/jobs/runs/", HTTP_ACCEPT="text/html")
    assert response.status_code == 200
    assert b"<html" in response.content


def test_everything_else_works_without_rest_framework(alone: Alone) -> None:
    code = """
        import sys
        sys.modules["rest_framework"] = None
        sys.modules["drf_spectacular"] = None
        from django.conf import settings
        settings.configure(
            INNGEST={"APP_ID": "shop", "DEV": True},
            INSTALLED_APPS=["inngest_contrib.django", "tests.contrib.django.shop"],
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="tests.contrib.django.urls",
        )
        import django; django.setup()
        from django.core.checks import run_checks
        print(run_checks(tags=["inngest"]))
        from django.test import Client
        print(Client().get("/api/inngest").status_code)
        """
    assert alone(code).splitlines() == ["[]", "200"]


# ---- checks


def test_e012_rest_framework_is_no_app_of_the_project(project: Any) -> None:
    from django.conf import settings

    apps = [one for one in settings.INSTALLED_APPS if one != "rest_framework"]
    from django.apps import apps as registry

    registry.set_installed_apps(apps)
    try:
        messages = found(ROOT_URLCONF=_with_endpoint())
    finally:
        registry.unset_installed_apps()
    assert list(messages) == ["inngest.E012"]


def test_w013_nobody_could_enter(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from inngest_contrib.django.rest.views import RunViewSet

    monkeypatch.setattr(RunViewSet, "authentication_classes", [])
    assert list(found(ROOT_URLCONF=_with_endpoint())) == ["inngest.W013"]


def test_the_api_as_it_is_hears_nothing(project: Any) -> None:
    assert found(ROOT_URLCONF=_with_endpoint()) == {}
    assert run_checks(tags=["inngest"]) == []


def _with_endpoint() -> Urls:
    return Urls(path("api/", include("inngest_contrib.django.urls")), API)
