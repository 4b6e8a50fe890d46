"""A server with keys: who gets in, and a whole app that talks to it in cloud mode."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import inngest_core as inngest
from inngest_contrib.devserver import DevServer
from inngest_contrib.devserver.errors import AppNotLoaded, KeysRefused
from inngest_contrib.devserver.instance import free_port
from inngest_contrib.devserver.serving import Options
from inngest_core.realtime import get_subscription_token_sync, publish_sync
from inngest_core.wire.signing import sign, verify
from tests.contrib.devserver.live import Call, Reply, Running, StandIn, eventually, running
from tests.contrib.devserver.test_end_to_end import on_fastapi, on_flask

KEY = "0123456789abcdef0123456789abcdef"
HASH = "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"
PREFIXED = f"signkey-test-{KEY}"
BEARER = {"authorization": f"Bearer signkey-test-{HASH}"}
EVENT_KEY = "deadbeef01"
UNKNOWN = "01M81D0R9HSHXZE7BRTHMD04PA"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(signing_key=KEY, event_keys=(EVENT_KEY, "another"), poll=False) as found:
        found.http.headers.update(BEARER)
        yield found


def stranger(server: Running) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=10, trust_env=False)


def send(server: Running, name: str) -> str:
    response = server.http.post(f"/e/{EVENT_KEY}", json={"name": name, "data": {}})
    assert response.status_code == 200, response.text
    return str(response.json()["ids"][0])


# --- who gets in ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/events"),
        ("GET", "/api/v2/runs"),
        ("GET", "/v2/health"),
        ("GET", f"/v0/runs/{UNKNOWN}/actions"),
        ("POST", "/fn/register"),
        ("DELETE", "/fn/remove"),
        ("POST", "/invoke/a-b"),
        ("POST", "/v0/gql"),
        ("POST", "/v1/signals"),
        ("POST", "/v1/realtime/token"),
        ("GET", "/v1/realtime/connect/"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("OPTIONS", "/v2/runs"),
    ],
)
def test_a_stranger_is_refused_in_the_words_of_the_real_server(
    server: Running, method: str, path: str
) -> None:
    with stranger(server) as client:
        for headers in ({}, {"authorization": "Bearer nope"}, {"authorization": PREFIXED}):
            response = client.request(method, path, headers=headers)
            assert (response.status_code, response.text) == (401, "Authentication failed\n")
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert response.headers["x-inngest-server-kind"] == "cloud"


@pytest.mark.parametrize("token", [PREFIXED, KEY, HASH, f"signkey-test-{HASH}"])
def test_a_key_or_its_hash_opens(server: Running, token: str) -> None:
    with stranger(server) as client:
        for scheme in ("Bearer", "bearer"):
            response = client.get("/v1/events", headers={"authorization": f"{scheme} {token}"})
            assert response.status_code == 200


def test_a_browser_asks_its_user(server: Running) -> None:
    with stranger(server) as client:
        refused = client.get("/", headers={"accept": "text/html"})
        assert refused.headers["www-authenticate"].startswith("Basic realm=")
        opened = client.get("/", headers={"accept": "text/html"}, auth=("me", KEY))
        assert (opened.status_code, "<title>" in opened.text) == (200, True)


def test_health_is_told_to_everyone(server: Running) -> None:
    with stranger(server) as client:
        assert client.get("/health").json() == {"status": 200, "message": "OK"}


def test_it_is_no_development_server(server: Running) -> None:
    for client in (server.http, stranger(server)):
        response = client.get("/dev")
        assert (response.status_code, response.text) == (404, "404 page not found\n")


def test_events_need_an_event_key_and_nothing_else(server: Running) -> None:
    with stranger(server) as client:
        assert client.post("/e/another", json={"name": "a"}).status_code == 200
        for path in ("/e/bad", f"/e/{KEY}", f"/e/{EVENT_KEY}x", f"/e/{EVENT_KEY}/x"):
            response = client.post(path, json={"name": "a"}, headers=BEARER)
            assert response.status_code == 401
            assert response.json() == {"status": 401, "message": "", "error": "Event key not found"}
            assert response.headers["content-type"] == "application/json"


def test_an_app_that_expects_a_development_server_is_refused(server: Running) -> None:
    kind = {"x-inngest-expected-server-kind": "dev"}
    response = server.http.post(
        "/fn/register", json={"appName": "x", "functions": []}, headers=kind
    )
    assert response.status_code == 400
    assert response.json()["error"] == "Expected server kind cloud, got dev"
    kind = {"x-inngest-expected-server-kind": "cloud"}
    response = server.http.post(
        "/fn/register", json={"appName": "x", "functions": []}, headers=kind
    )
    assert response.status_code == 200


# --- calls and their replies ------------------------------------------------------------------


def signed(reply: Reply, *, key: str = KEY) -> Reply:
    body = json.dumps(reply.body).encode()
    signature = sign(key, body, int(time.time()))
    return Reply(reply.status, raw=body, headers={"x-inngest-signature": signature})


def test_calls_are_signed_and_signed_replies_believed(server: Running, app: StandIn) -> None:
    app.answer = lambda call: signed(Reply(200, "well"))
    app.register(server, "sg", app.function("sg", "f"))
    (run,) = server.ended_runs(send(server, "sg/f"))
    assert (run["status"], run["output"]) == ("COMPLETED", {"data": "well"})
    (call,) = app.calls
    assert verify(call.headers["x-inngest-signature"], call.body, [KEY], time.time()) == KEY


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda call: signed(Reply(200, 1), key="ff" * 16), "does not match"),
        (lambda call: Reply(200, 1), "it is not signed"),
    ],
)
def test_a_reply_that_is_not_the_apps_fails_the_attempt(
    server: Running, app: StandIn, answer: Any, text: str
) -> None:
    app.answer = answer
    app.register(server, "forged", app.function("forged", "f", retries=1))
    (run,) = server.ended_runs(send(server, "forged/f"))
    assert run["status"] == "FAILED"
    assert run["output"]["error"]["message"].startswith("InvalidReplySignature: ")
    assert text in run["output"]["error"]["message"]
    assert len(app.calls) == 2


def test_the_request_for_a_sync_is_signed(app: StandIn) -> None:
    asked: list[Call] = []

    def note(call: Call) -> Reply:
        asked.append(call)
        return Reply(200, {})

    app.on_put = note
    with running(signing_key=KEY, event_keys=(EVENT_KEY,), urls=(app.url,)):
        call = eventually(lambda: asked[:1], what="a request for a sync")[0]
    assert call.headers["x-inngest-server-kind"] == "cloud"
    assert verify(call.headers["x-inngest-signature"], call.body, [KEY], time.time()) == KEY
    assert call.json == {"url": app.url}


# --- a whole app ------------------------------------------------------------------------------

LARGE = "x" * 1_500_000


def shop(url: str, *, signing_key: str = PREFIXED) -> inngest.Inngest:
    client = inngest.Inngest(
        app_id="shop",
        is_production=True,
        api_base_url=url,
        event_api_base_url=url,
        signing_key=signing_key,
        event_key=EVENT_KEY,
    )

    @client.create_function(fn_id="steps", trigger=inngest.TriggerEvent(event="shop/steps"))
    async def steps(ctx: inngest.Context) -> Any:
        one = await ctx.step.run("one", lambda: 1)
        sent = await ctx.step.send_event("tell", inngest.Event(name="shop/told"))
        return [one, len(sent)]

    @client.create_function(fn_id="large", trigger=inngest.TriggerEvent(event="shop/large"))
    def large(ctx: inngest.ContextSync) -> Any:
        return sum(len(ctx.step.run(f"part {n}", lambda: LARGE)) for n in range(4))

    return client


@pytest.mark.parametrize("served", [on_fastapi, on_flask])
def test_an_app_in_cloud_mode_works_with_it(server: Running, served: Any) -> None:
    client = shop(server.url)
    with served(client) as url:
        answer = httpx.put(url, trust_env=False)
        assert answer.status_code == 200, answer.text
        (event_id,) = client.send_sync(inngest.Event(name="shop/steps"))
        (run,) = server.ended_runs(event_id)
        assert (run["status"], run["output"]) == ("COMPLETED", {"data": [1, 1]})


def test_memos_too_large_for_a_call_are_fetched_with_the_key(server: Running) -> None:
    client = shop(server.url)
    with on_flask(client) as url:
        assert httpx.put(url, trust_env=False).status_code == 200
        (event_id,) = client.send_sync(inngest.Event(name="shop/large"))
        (run,) = server.ended_runs(event_id)
    assert (run["status"], run["output"]) == ("COMPLETED", {"data": 4 * len(LARGE)})


def test_an_app_with_another_key_is_told_so_and_cannot_work(server: Running) -> None:
    client = shop(server.url, signing_key="ff" * 16)
    with on_flask(client) as url:
        answer = httpx.put(url, trust_env=False)
    assert answer.status_code == 500
    assert "401" in answer.text or "Authentication failed" in answer.text


def test_an_app_is_found_at_its_address() -> None:
    port = free_port()
    with (
        on_flask(shop(f"http://127.0.0.1:{port}")) as url,
        running(port=port, urls=(url,), signing_key=KEY, event_keys=(EVENT_KEY,)) as server,
    ):
        server.http.headers.update(BEARER)
        eventually(lambda: server.functions("shop") == ["large", "steps"], what="the sync")


def test_functions_run_inside_the_server() -> None:
    port = free_port()
    client = shop(f"http://127.0.0.1:{port}")
    keys = {"signing_key": KEY, "event_keys": (EVENT_KEY,)}
    with running(port=port, app=client, **keys) as server:
        server.http.headers.update(BEARER)
        (event_id,) = client.send_sync(inngest.Event(name="shop/steps"))
        (run,) = server.ended_runs(event_id)
        assert (run["status"], run["output"]) == ("COMPLETED", {"data": [1, 1]})


def test_an_app_in_development_mode_cannot_run_inside_it() -> None:
    port = free_port()
    client = inngest.Inngest(
        app_id="plain", is_production=False, api_base_url=f"http://127.0.0.1:{port}"
    )
    with (
        pytest.raises(AppNotLoaded, match="could not be registered"),
        running(port=port, app=client, signing_key=KEY, event_keys=(EVENT_KEY,)),
    ):
        pass


# --- how it is started ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_server_for_a_block_has_keys(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with DevServer(kind=kind, signing_key=KEY, event_keys=[EVENT_KEY], poll=False) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = inngest.Inngest(app_id="env")
        assert client.send_sync(inngest.Event(name="env/a"))
        assert httpx.get(f"{server.url}/v1/events", trust_env=False).status_code == 401
    assert KEY not in repr(vars(server))


def test_keys_of_the_wrong_form_end_it_before_it_starts() -> None:
    with pytest.raises(KeysRefused, match="has a prefix"):
        DevServer(signing_key=PREFIXED, event_keys=[EVENT_KEY])
    with pytest.raises(ValueError, match="signing_key: the official server"):
        DevServer(kind="binary", signing_key=KEY, event_keys=[EVENT_KEY]).start()


def test_neither_key_is_shown_by_the_options_of_a_server() -> None:
    options = Options(signing_key=KEY, event_keys=(EVENT_KEY,))
    assert KEY not in repr(options)
    assert EVENT_KEY not in repr(options)


def test_only_a_server_without_a_key_warns_of_other_machines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(host="0.0.0.0", signing_key=KEY, event_keys=(EVENT_KEY,)):
        assert "Other machines" not in caplog.text
    with running(host="0.0.0.0"):
        assert "Other machines can reach this server" in caplog.text
    assert KEY not in caplog.text
    assert EVENT_KEY not in caplog.text


# --- realtime ---------------------------------------------------------------------------------


def test_who_has_the_key_gets_a_token_and_who_has_a_token_may_listen(server: Running) -> None:
    client = shop(server.url)
    told = get_subscription_token_sync(client, "user:1", ["news"])
    token = str(next(value for value in told.values() if str(value).count(".") == 2))
    with stranger(server) as listener:
        path = "/v1/realtime/sse"
        assert listener.get(path, params={"token": "nonsense"}).status_code == 401
        with listener.stream("GET", path, params={"token": token}) as messages:
            assert messages.status_code == 200
            publish_sync(client, "user:1", "news", {"n": 1})
            found = next(line for line in messages.iter_lines() if line.startswith("data:"))
        assert '"n":1' in found
        refused = listener.post(
            "/v1/realtime/publish?channel=user:1&topic=news",
            headers={"authorization": f"Bearer {token}"},
        )
        assert refused.status_code == 401
