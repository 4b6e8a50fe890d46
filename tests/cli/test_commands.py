"""Every command that talks to a server, against the embedded one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import inngest_core as inngest
from inngest_contrib.devserver.instance import DevServer, free_port
from inngest_core.cli import build

KEY = "signkey-test-0123456789abcdef"


class Result:
    """How a command has ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


def shop(url: str) -> inngest.Inngest:
    """A client with functions, that talks to the server at *url*."""
    client = inngest.Inngest(
        app_id="shop", is_production=False, api_base_url=url, event_api_base_url=url
    )

    @client.create_function(
        fn_id="add", trigger=inngest.TriggerEvent(event="shop/add"), retries=0, name="Adding"
    )
    def add(ctx: inngest.ContextSync) -> Any:
        number: Any = ctx.step.run("one more", lambda: int(str(ctx.event.data["n"])) + 1)
        if number > 100:
            raise inngest.NonRetriableError("too many")
        return ctx.step.run("double", lambda: number * 2)

    @client.create_function(fn_id="nap", trigger=inngest.TriggerCron(cron="0 3 1 1 *"))
    async def nap(ctx: inngest.Context) -> None:
        await ctx.step.sleep("long", "1h")

    return client


@pytest.fixture(scope="module")
def client() -> Iterator[inngest.Inngest]:
    port = free_port()
    app = shop(f"http://127.0.0.1:{port}")
    with DevServer(port=port, app=app, poll=False):
        yield app


@pytest.fixture
def run(client: inngest.Inngest, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command about the client, as an adapter does."""
    return runner(client, capsys)


def runner(client: inngest.Inngest | None, capsys: pytest.CaptureFixture[str]) -> Run:
    def invoke(*words: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            build(client).main(list(words), prog_name="inngest")
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, shown.out, shown.err)

    return invoke


def wait_until(done: Callable[[], Any]) -> Any:
    """What *done* gives once it gives something."""
    for _ in range(200):
        if found := done():
            return found
        threading.Event().wait(0.05)
    raise AssertionError("it has not come to pass within 10 s")


# ---- sending and invoking


def test_an_event_is_sent_and_starts_what_it_triggers(run: Run) -> None:
    sent = run("send", "shop/add", "--data", '{"n": 1}')
    assert sent.status == 0
    event_id = sent.out.strip()
    (found,) = wait_until(lambda: run("runs", "list", "--event", event_id, "--json").json)
    assert found["function"]["id"] == "add"


def test_data_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"n": 4}')
    done = run("invoke", "add", "--data", f"@{tmp_path}/data.json", "--json")
    assert done.json["output"] == {"data": 10}


@pytest.mark.parametrize("function", ["add", "shop-add", "shop/add", "shop/shop-add"])
def test_a_function_is_invoked_by_any_of_its_names(run: Run, function: str) -> None:
    done = run("invoke", function, "--data", '{"n": 3}')
    assert done.status == 0
    assert re.search(r"^status: +COMPLETED$", done.out, re.MULTILINE)
    assert re.search(r"^output: +8$", done.out, re.MULTILINE)


def test_without_a_client_the_app_is_found_on_the_server(
    client: inngest.Inngest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INNGEST_DEV", client.api_origin)
    alone = runner(None, capsys)
    assert alone("invoke", "shop-add", "--data", '{"n": 3}').status == 0
    refused = alone("invoke", "market-add")
    assert refused.status == 2
    assert "apps are: shop" in refused.err


def test_a_run_that_fails_ends_the_command_with_1_and_says_why(run: Run) -> None:
    done = run("invoke", "add", "--data", '{"n": 200}')
    assert done.status == 1
    assert "NonRetriableError: too many" in done.out
    assert "ended as failed" in done.err


def test_who_waits_too_short_learns_that_the_run_goes_on(run: Run) -> None:
    done = run("invoke", "nap", "--timeout", "0s")
    assert done.status == 1
    assert "goes on" in done.err


def test_who_does_not_wait_gets_the_id(run: Run) -> None:
    run_id = run("invoke", "nap", "--no-wait").out.strip()
    assert run("runs", "show", run_id, "--json").json["id"] == run_id


def test_a_key_starts_a_function_once(run: Run) -> None:
    once = run("invoke", "nap", "--no-wait", "--key", "only-once")
    again = run("invoke", "nap", "--no-wait", "--key", "only-once")
    assert (once.status, again.status) == (0, 1)
    assert "409" in again.err


# ---- runs


def test_runs_are_listed_and_shown_with_their_steps(run: Run) -> None:
    run_id = run("invoke", "add", "--data", '{"n": 7}', "--json").json["id"]
    listed = run("runs", "list", "--status", "completed", "--function", "add")
    head, *rows = listed.out.splitlines()
    assert head.split() == ["ID", "APP", "FUNCTION", "STATUS", "QUEUED", "TOOK"]
    assert any(row.startswith(run_id) for row in rows)
    shown = run("runs", "show", run_id)
    assert re.search(r"^output: +16$", shown.out, re.MULTILINE)
    assert re.search(r"^double +RUN +COMPLETED .* 16$", shown.out, re.MULTILINE)
    root = run("runs", "show", run_id, "--json").json["trace"]
    assert [child["name"] for child in root["children"]][:2] == ["one more", "double"]


def test_a_run_is_cancelled_once(run: Run) -> None:
    run_id = run("invoke", "nap", "--no-wait").out.strip()
    assert run("runs", "cancel", run_id, "--json").json == [{"id": run_id, "result": "cancelled"}]
    again = run("runs", "cancel", run_id)
    assert again.status == 1
    assert "already cancelled" in again.out


def test_a_run_is_repeated_from_a_step(run: Run) -> None:
    first = run("invoke", "add", "--data", '{"n": 7}', "--json").json["id"]
    again = run("runs", "rerun", first, "--from-step", "double").out.strip()
    assert again != first

    def ended() -> Any:
        found = run("runs", "show", again, "--json").json
        return found if found["status"] == "COMPLETED" else None

    assert wait_until(ended)["output"] == {"data": 16}
    assert run("runs", "rerun", first, "--json").json["of"] == first


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("runs show 01M82CT3ZSFN2QAPTH9RHV8QRZ", 1, "Run not found"),
        ("runs show nope", 1, "must be a valid ULID"),
        ("runs rerun nope", 1, "must be a valid ULID"),
        ("runs rerun nope --input [1]", 2, "--from-step"),
        ("runs list --event nope --status failed", 2, "stands alone"),
        ("runs list --limit 1000", 2, "--limit"),
        ("invoke absent", 1, "Function not found"),
        ("invoke add --data [1]", 2, "expected an object"),
        ("invoke add --data {n:1}", 2, "Quote the JSON"),
        ("invoke add --data @absent.json", 2, "absent.json cannot be read"),
        ("invoke add --timeout soon", 2, "not a duration"),
        ("send shop/add --data {", 2, "Quote the JSON"),
    ],
)
def test_what_cannot_be_done_is_told_on_one_line(
    run: Run, words: str, status: int, said: str
) -> None:
    ended = run(*words.split())
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("Error: ")


# ---- functions, plugins


def test_functions_are_listed_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    run = runner(shop("http://127.0.0.1:9"), capsys)
    _, add, nap = run("functions").out.splitlines()
    assert re.match(r"shop-add +Adding +shop/add +0 +blocking ", add)
    assert re.match(r"shop-nap +nap +cron 0 3 1 1 \* +4 +async ", nap)
    first = run("functions", "--json").json[0]
    assert first["config"]["triggers"] == [{"event": "shop/add"}]
    assert Path(first["code"].rpartition(":")[0]).name == "test_commands.py"


# ---- doctor


def test_a_healthy_app_has_nothing_wrong(run: Run) -> None:
    told = run("doctor", "--json")
    assert told.status == 0
    states = {one["check"]: one["state"] for one in told.json}
    assert states["server"] == states["clock"] == states["app"] == states["events"] == "ok"
    assert set(states.values()) == {"ok"}


def test_an_app_that_the_server_does_not_know_is_told(
    client: inngest.Inngest, capsys: pytest.CaptureFixture[str]
) -> None:
    other = inngest.Inngest(app_id="other", is_production=False, api_base_url=client.api_origin)
    told = runner(other, capsys)("doctor")
    assert told.status == 1
    assert "the server does not know other" in told.out
    assert "-> start the app, and sync it" in told.out


def cloud(**arguments: Any) -> inngest.Inngest:
    nowhere = "http://127.0.0.1:9"
    return inngest.Inngest(
        **{
            "app_id": "shop",
            "is_production": True,
            "api_base_url": nowhere,
            "event_api_base_url": nowhere,
            "request_timeout": "5s",
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ("arguments", "check", "said"),
    [
        ({}, "signing key", "there is none, and cloud mode needs one"),
        ({"signing_key": "signkey-prod-xyz"}, "signing key", "it is malformed"),
        ({"signing_key": KEY, "signing_key_fallback": "z"}, "fallback key", "it is malformed"),
        ({"signing_key": KEY}, "event key", "sending needs it"),
        ({"signing_key": KEY}, "server", "gives no reply"),
        ({"signing_key": KEY}, "events", "gives no reply"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy_and_without_a_key(
    arguments: Any, check: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = runner(cloud(**arguments), capsys)("doctor", "--json")
    assert told.status == 1
    (finding,) = [one for one in told.json if one["check"] == check]
    assert finding["state"] == "wrong"
    assert said in finding["found"]
    assert finding["remedy"]
    for key in arguments.values():
        assert key not in told.out + told.err


def test_a_wrong_setting_is_the_first_thing_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INNGEST_BASE_URL", "nope")
    told = runner(None, capsys)("doctor")
    assert told.status == 1
    assert re.search("^wrong +settings +INNGEST_BASE_URL", told.out, re.MULTILINE)


# ---- a server that asks for keys, as Cloud does


@pytest.fixture(scope="module")
def signed() -> Iterator[str]:
    with DevServer(signing_key="0123456789abcdef", event_keys=["event-key"]) as server:
        yield server.url


def test_the_same_commands_serve_a_server_that_asks_for_keys(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"signing_key": KEY, "event_key": "event-key"}
    run = runner(cloud(api_base_url=signed, event_api_base_url=signed, **keys), capsys)
    assert run("send", "shop/add").status == 0
    assert run("runs", "list", "--json").json == []
    told = run("doctor", "--json")
    (access,) = [one for one in told.json if one["check"] == "access"]
    assert access["found"] == "the server takes our key"


def test_a_key_that_the_server_refuses_is_told_and_not_shown(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "signkey-test-fedcba9876543210"
    run = runner(cloud(api_base_url=signed, signing_key=key), capsys)
    told, refused = run("doctor"), run("runs", "list")
    assert "the server refuses our signing key" in told.out
    assert "INNGEST_SIGNING_KEY" in refused.err
    assert (told.status, refused.status) == (1, 1)
    for text in (told.out, told.err, refused.out, refused.err):
        assert key not in text


def test_without_a_key_the_cloud_is_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    refused = runner(cloud(), capsys)("runs", "list")
    assert refused.status == 2
    assert "INNGEST_SIGNING_KEY" in refused.err
    assert "INNGEST_DEV=1" in refused.err


@pytest.mark.parametrize("words", ["runs list", "send shop/add"])
def test_a_server_that_is_not_there_is_told_with_how_to_start_one(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    refused = runner(cloud(is_production=False), capsys)(*words.split())
    assert refused.status == 1
    assert "inngest-core dev" in refused.err


# ---- sync


class Endpoint:
    """A transport before an app, in place of a network."""

    def __init__(self, app: inngest.CommHandler) -> None:
        self.app = app
        self.asked: list[str] = []

    @inngest.hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return self

    def send(self, request: Any) -> Any:
        self.asked.append(f"{request.method} {request.url}")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = inngest.CommRequest(request.method, request.url, headers, {}, request.body)
        return self.app.answer_sync(asked)

    def close(self) -> None: ...


class Registry:
    """A transport to a server that takes every registration."""

    @inngest.hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return self

    def send(self, request: Any) -> Any:
        return inngest.CommResponse(200, {}, b'{"ok": true, "modified": true}')

    def close(self) -> None: ...


def served(**arguments: Any) -> Endpoint:
    """An app, as far as HTTP sees it."""
    app = inngest.Inngest(app_id="shop", plugins=[Registry()], **arguments)
    return Endpoint(inngest.CommHandler(client=app, framework="test", functions=[]))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/api/inngest"),
        ("https://shop.test/", "https://shop.test/api/inngest"),
        ("https://shop.test/other", "https://shop.test/other"),
    ],
)
def test_an_app_is_asked_to_register(
    url: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = served(is_production=False)
    told = runner(cloud(is_production=False, plugins=[endpoint]), capsys)("sync", url)
    assert (told.status, told.out) == (0, f"{asked}: registered\n")
    assert endpoint.asked == [f"PUT {asked}"]


def test_an_app_that_wants_a_signature_gets_one(capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = served(is_production=True, signing_key=KEY)
    told = runner(cloud(plugins=[endpoint], signing_key=KEY), capsys)("sync", "shop.test", "--json")
    assert told.json["reply"]["modified"] is True
    wrong = cloud(plugins=[endpoint], signing_key="signkey-test-00")
    assert runner(wrong, capsys)("doctor", "--url", "shop.test").status == 1


def test_an_app_that_does_not_register_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: Any, request: Any) -> Any:
        return inngest.CommResponse(400, {}, b'{"error": "no such account"}')

    monkeypatch.setattr(Registry, "send", refuse)
    told = runner(cloud(is_production=False, plugins=[served(is_production=False)]), capsys)(
        "sync", "shop.test"
    )
    assert told.status == 1
    assert "http://shop.test/api/inngest answered with status 500" in told.err
    assert "no such account" in told.err


def test_without_an_address_sync_says_where_one_could_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = served(is_production=False)
    told = runner(cloud(is_production=False, plugins=[endpoint]), capsys)("sync")
    assert told.status == 2
    assert "INNGEST_SERVE_ORIGIN" in told.err
    monkeypatch.setenv("INNGEST_SERVE_ORIGIN", "https://shop.test")
    monkeypatch.setenv("INNGEST_SERVE_PATH", "/in")
    runner(cloud(is_production=False, plugins=[endpoint]), capsys)("sync")
    assert endpoint.asked == ["PUT https://shop.test/in"]


# ---- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = runner(None, capsys)("completion", shell)
    assert told.status == 0
    assert "_INNGEST_CORE_COMPLETE" in told.out


def test_commands_without_a_client_are_only_in_the_command_of_its_own(
    client: inngest.Inngest,
) -> None:
    alone, given = (build(one) for one in (None, client))
    difference = {*alone.list_commands(click.Context(alone))} - {
        *given.list_commands(click.Context(given))
    }
    assert difference == {"completion", "new-plugin"}


def test_a_plugin_takes_the_place_of_none_of_our_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Rude:
        @inngest.hookimpl
        def inngest_commands(self, group: click.Group) -> None:
            group.add_command(click.Command("functions"))

    client = inngest.Inngest(app_id="shop", is_production=False, plugins=[Rude()])
    assert runner(client, capsys)("functions").out.startswith("ID")
