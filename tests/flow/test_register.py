"""Registering: out of band and in band, the address, refusals; against what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import TriggerEvent
from inngest_core.errors import TransportError
from inngest_core.version import VERSION
from inngest_core.wire.signing import sign, verify

from .wiring import KEY, NOW, Server, ask, client_of, cloud_client, document, reply, request_of

SAMPLES = Path(__file__).parents[1] / "samples" / "calls"
RECORDED = json.loads((SAMPLES / "registration.json").read_text())
CLOUD = json.loads((SAMPLES / "cloud.json").read_text())
OK = {"ok": True, "modified": True, "sync_id": "s", "app_id": "a"}


def official_app(client: inngest.Inngest) -> inngest.Inngest:
    """The functions of the recorded registration."""

    def function(fn_id: str, **options: Any) -> None:
        trigger = options.pop("trigger", TriggerEvent(event=f"pyapp/{fn_id}"))
        client.create_function(fn_id=fn_id, trigger=trigger, **options)(lambda ctx: None)

    function("child")
    function(
        "all",
        retries=2,
        trigger=TriggerEvent(event="pyapp/all", expression="event.data.go == true"),
        cancel=[
            inngest.Cancel(event="pyapp/stop", if_exp="event.data.u == async.data.u", timeout="1h")
        ],
        concurrency=[inngest.Concurrency(limit=5, key="event.data.u")],
        priority=inngest.Priority(run="10"),
        timeouts=inngest.Timeouts(start="5m", finish="1h"),
    )
    function("par")
    function("errs", retries=1)
    function("nonretry", on_failure=lambda ctx: None)
    function("retryafter", retries=1)
    return client


def test_the_registration_is_the_one_that_the_official_sdk_sends() -> None:
    server = Server([reply(200, RECORDED["reply"])])
    client = official_app(client_of(server, app_id="pyapp"))
    response = ask(client, request_of("PUT", url=RECORDED["url"]))
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8288/fn/register")
    expected = dict(RECORDED["registration"])
    # Ours writes these as the server reads them; it ignores case, and a null list is none.
    expected["appName"] = expected.pop("appname")
    expected["deployType"] = expected.pop("deploy_type")
    expected["sdk"] = f"py:v{VERSION}"
    failure = next(one for one in expected["functions"] if one["id"].endswith("-failure"))
    assert (failure.pop("cancel"), failure.pop("concurrency")) == ([], [])
    assert json.loads(request.body) == expected
    assert response.status == 200
    assert document(response) == RECORDED["reply"]
    assert response.headers["x-inngest-sync-kind"] == "out_of_band"
    assert request.headers["x-inngest-framework"] == "flask"


def test_what_else_the_client_knows_is_registered() -> None:
    server = Server([reply(200, OK)])
    client = cloud_client(server, app_version="7", env="branch")
    ask(client, request_of("PUT", query={"deployId": "a b/c"}))
    (request,) = server.requests
    assert request.url == "https://api.inngest.com/fn/register?deployId=a%20b%2Fc"
    body = json.loads(request.body)
    assert (body["appVersion"], body["headers"]) == ("7", {"env": "branch"})
    assert request.headers["authorization"].startswith("Bearer signkey-test-223e0a16")


def test_a_deploy_id_of_broken_text_is_no_failure() -> None:
    server = Server([reply(200, OK)])
    assert ask(client_of(server), request_of("PUT", query={"deployId": "\ud800"})).status == 200
    assert server.requests[0].url.endswith("?deployId=%3F")


def test_the_reply_of_the_server_is_passed_on_unchanged() -> None:
    odd = b'{"ok":true,  "modified":false, "new":[1]}\n'
    response = ask(client_of(Server([reply(200, odd)])), request_of("PUT"))
    assert (response.status, response.body) == (200, odd)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([reply(400, {"error": "At least one function is invalid"})], "At least one function is"),
        ([reply(401, b"Authentication failed\n")], "Authentication failed"),
        ([reply(500, b"")], "status 500"),
        ([reply(200, b"<html>Welcome</html>")], "not that of an Inngest server"),
        ([reply(200, b"")], "Check the API's address"),
        ([TransportError("no reply from http://127.0.0.1:8288: refused")], "no reply from"),
    ],
)
def test_a_refused_registration_is_a_500_that_says_why(script: Any, text: str) -> None:
    response = ask(client_of(Server(script)), request_of("PUT"))
    assert response.status == 500
    shown = document(response)
    assert set(shown) == {"message", "modified"}
    assert shown["modified"] is False
    assert text in shown["message"]
    assert response.headers["x-inngest-sync-kind"] == "out_of_band"


def test_a_long_refusal_is_cut() -> None:
    response = ask(client_of(Server([reply(502, b"x" * 5000)])), request_of("PUT"))
    assert len(response.body) < 1000


def test_a_host_that_is_none_is_a_refusal_in_json() -> None:
    response = ask(client_of(), request_of("PUT", url="http://[/api/inngest"))
    assert response.status == 500
    assert document(response) == {
        "message": "the request names no address to register: Invalid IPv6 URL",
        "modified": False,
    }


@pytest.mark.parametrize(
    ("kind", "client", "message"),
    [
        ("dev", cloud_client(), "Sync rejected since it's from a Dev Server but expected Cloud"),
        ("cloud", client_of(), "Sync rejected since it's from Cloud but expected Dev Server"),
    ],
)
def test_the_wrong_kind_of_server_is_refused(kind: str, client: Any, message: str) -> None:
    response = ask(client, request_of("PUT", headers={"x-inngest-server-kind": kind}))
    assert response.status == 400
    assert document(response)["code"] == "server_kind_mismatch"
    assert document(response)["message"] == message


# ---- the address


def registered_url(environ: dict[str, str], options: dict[str, str], url: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        server = Server([reply(200, OK)])
        client = client_of(server)
        client.create_function(fn_id="f", trigger=TriggerEvent(event="a"))(lambda ctx: None)
        ask(client, request_of("PUT", url=url), **options)
    body = json.loads(server.requests[0].body)
    runtime = body["functions"][0]["steps"]["step"]["runtime"]
    assert runtime == {"type": "http", "url": f"{body['url']}?fnId=shop-f&stepId=step"}
    found: str = body["url"]
    return found


ASKED = "http://127.0.0.1:5000/api/inngest"


@pytest.mark.parametrize(
    ("environ", "options", "url"),
    [
        ({}, {}, ASKED),
        ({"INNGEST_SERVE_ORIGIN": "https://v.example"}, {}, "https://v.example/api/inngest"),
        ({"INNGEST_SERVE_HOST": "https://old.example"}, {}, "https://old.example/api/inngest"),
        ({"INNGEST_SERVE_ORIGIN": "v.example"}, {}, "https://v.example/api/inngest"),
        ({"INNGEST_SERVE_PATH": "/var"}, {}, "http://127.0.0.1:5000/var"),
        ({"INNGEST_SERVE_PATH": "var"}, {}, "http://127.0.0.1:5000/var"),
        (
            {"INNGEST_SERVE_ORIGIN": "https://v.example", "INNGEST_SERVE_PATH": "/var"},
            {"serve_origin": "o.example/", "serve_path": "/opt"},
            "https://o.example/opt",
        ),
        (
            {"INNGEST_SERVE_PATH": "/var"},
            {"serve_path": "/opt", "public_path": "/pub"},
            "http://127.0.0.1:5000/pub",
        ),
        ({}, {"serve_origin": "http://o.example:81"}, "http://o.example:81/api/inngest"),
    ],
)
def test_serve_options_beat_variables_which_beat_the_request(
    environ: dict[str, str], options: dict[str, str], url: str
) -> None:
    assert registered_url(environ, options, ASKED) == url


def test_the_query_of_the_request_is_dropped() -> None:
    assert registered_url({}, {}, f"{ASKED}?deployId=1&x=y") == ASKED


def test_a_variable_that_is_no_origin_is_said_in_the_reply() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INNGEST_SERVE_ORIGIN", "https://")
        response = ask(client_of(), request_of("PUT"))
    assert response.status == 500
    assert "serve_origin" in document(response)["message"]


# ---- in band

IN_BAND = {"x-inngest-sync-kind": "in_band"}
ADDRESS = {"url": "https://far.example/api/inngest"}


def test_in_band_the_app_is_in_the_reply_signed_and_without_nulls() -> None:
    server = Server()
    client = cloud_client(server)
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a"))(lambda ctx: None)
    response = ask(client, request_of("PUT", ADDRESS, headers=IN_BAND, key=KEY))
    assert response.status == 200
    assert server.requests == []
    assert response.headers["x-inngest-sync-kind"] == "in_band"
    assert verify(response.headers["x-inngest-signature"], response.body, [KEY], NOW) == KEY
    shown = document(response)
    assert shown["url"] == ADDRESS["url"]
    assert shown["functions"][0]["steps"]["step"]["runtime"]["url"].startswith(ADDRESS["url"])
    assert None not in [*shown.values(), *shown["inspection"].values()]


@pytest.mark.parametrize("body", [b"", b"nope", b"{}", b"[]", {"url": 1}, {"url": ""}])
def test_in_band_without_an_address_is_refused(body: Any) -> None:
    response = ask(cloud_client(), request_of("PUT", body, headers=IN_BAND, key=KEY))
    assert response.status == 400
    assert document(response)["code"] == "body_invalid"


def test_in_band_unsigned_is_refused() -> None:
    response = ask(cloud_client(), request_of("PUT", ADDRESS, headers=IN_BAND))
    assert response.status == 401
    assert document(response) == {"code": "header_missing", "message": "Unauthorized"}


def test_in_dev_mode_and_where_it_is_not_allowed_it_is_done_out_of_band() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INNGEST_ALLOW_IN_BAND_SYNC", "0")
        forbidding = cloud_client(Server([reply(200, OK)]))
    for client in (client_of(Server([reply(200, OK)])), forbidding):
        response = ask(client, request_of("PUT", ADDRESS, headers=IN_BAND, key=KEY))
        assert response.status == 200
        assert response.headers["x-inngest-sync-kind"] == "out_of_band"


# ---- who may ask


def test_anyone_may_ask_for_a_registration_out_of_band() -> None:
    response = ask(cloud_client(Server([reply(200, OK)])), request_of("PUT"))
    assert response.status == 200
    assert "x-inngest-signature" not in response.headers


@pytest.mark.parametrize("by_variable", [True, False])
def test_unless_it_is_denied(by_variable: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if by_variable:
            patch.setenv("INNGEST_ENABLE_UNAUTHED_SYNC", "false")
        client = cloud_client(Server([reply(200, OK)]))
    options: dict[str, Any] = {} if by_variable else {"enable_unauthed_sync": False}
    assert ask(client, request_of("PUT"), **options).status == 401
    assert ask(client, request_of("PUT", key=KEY), **options).status == 200


def test_a_wrong_signature_is_refused_where_none_is_needed() -> None:
    request = request_of("PUT", headers={"x-inngest-signature": sign("ffff", b"", NOW)})
    assert ask(cloud_client(), request).status == 401


# ---- the recorded requests, in the order in which they came


def recorded_app(server: Server) -> inngest.Inngest:
    client = cloud_client(
        server,
        app_id="demo-app",
        signing_key=CLOUD["key"],
        api_base_url="http://127.0.0.1:8394",
        event_api_base_url="http://127.0.0.1:8394",
    )

    def hello(ctx: inngest.ContextSync) -> Any:
        return ctx.step.run("a", lambda: 1)

    trigger = TriggerEvent(event="demo/hello")
    client.create_function(fn_id="hello", retries=2, trigger=trigger)(hello)
    return client


def comparable(doc: Any) -> Any:
    """What is ours and theirs alike: without versions, codes and texts."""
    if isinstance(doc, dict):
        return {k: comparable(v) for k, v in doc.items() if k not in ("sdk_version", "code")}
    return [comparable(one) for one in doc] if isinstance(doc, list) else doc


@pytest.mark.parametrize("number", range(len(CLOUD["cases"])))
def test_a_recorded_request_is_answered_as_the_official_sdk_did(number: int) -> None:
    case = CLOUD["cases"][number]
    expected = case["reply"]
    server = Server([reply(200, expected["body"])])
    client = recorded_app(server)
    client.engine.home.clock = lambda: 1795343962
    response = ask(
        client,
        request_of(
            case["method"],
            case["body"].encode(),
            query=case["query"],
            headers=case["headers"],
            url="http://127.0.0.1:18950/api/inngest",
        ),
    )
    stale = "t=1795340361" in case["headers"].get("x-inngest-signature", "")
    if stale:
        # Theirs does not look at the time.
        assert response.status == 401
        return
    assert response.status == expected["status"]
    if response.status == 405:
        assert document(response)["code"] == "method_not_allowed"
        return
    theirs, ours = comparable(expected["body"]), comparable(document(response))
    if isinstance(theirs, dict):
        ours = {key: value for key, value in ours.items() if key in theirs}
    assert ours == theirs
    if response.status == 401:
        return
    for name in expected["headers"]:
        if name not in ("x-inngest-sdk", "x-inngest-signature"):
            assert response.headers[name] == expected["headers"][name]
    assert ("x-inngest-signature" in response.headers) == (
        "x-inngest-signature" in expected["headers"]
    )
