"""What the server is shown of values, and what the function and its middleware see of them."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import Cipher, CipherError, ConfigError, Event, Inngest, Opcode, hookimpl
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.ids import hash_step

from .wiring import Server, client_of, document, reply, request_of, served

TRIGGER = inngest.TriggerEvent(event="a/b")
RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
SECRET = "the patient is well"
KINDS = [False, True]


@dataclasses.dataclass
class Shelf(Cipher):
    """Puts the key in front of the text, in base64: enough to see who opens what."""

    name: str = "acme/shelf"
    key: str = "k1"
    event_field: str = "encrypted"
    decrypt_only: bool = False

    def encrypt(self, text: bytes) -> str:
        return f"{self.key}:{base64.b64encode(text).decode()}"

    def decrypt(self, sealed: str) -> bytes:
        key, _, text = sealed.partition(":")
        if key != self.key:
            raise CipherError("no key fits")
        return base64.b64decode(text)


class Plugin:
    def __init__(self, *ciphers: Any) -> None:
        self.ciphers = list(ciphers)

    @hookimpl
    def inngest_cipher(self) -> Any:
        return self.ciphers.pop(0)


def sealed(value: Any, cipher: Cipher | None = None) -> dict[str, Any]:
    """What the server has in the place of *value*."""
    found = (cipher or Shelf()).encrypt(json.dumps(value).encode())
    return {"__ENCRYPTED__": True, "__STRATEGY__": (cipher or Shelf()).name, "data": found}


def opened(found: Any) -> Any:
    """The value that the server does not see; fails for one that it sees."""
    assert found["__ENCRYPTED__"] is True
    return json.loads(Shelf().decrypt(found["data"]))


def hiding(server: Server | None = None, *ciphers: Any, **options: Any) -> Inngest:
    plugins = [Plugin(one) for one in (ciphers or (Shelf(),))]
    return client_of(server, plugins=plugins, **options)


def play(
    handler: Callable[[Any], Any],
    *,
    client: Inngest | None = None,
    events: list[dict[str, Any]] | None = None,
    steps: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Answer one call of a function; memos are by the ids of steps."""
    client = client or hiding()
    client.create_function(fn_id="f", trigger=TRIGGER, **options)(handler)
    return served(client).answer_sync(call(events=events, steps=steps))


def call(
    *, events: list[dict[str, Any]] | None = None, steps: dict[str, Any] | None = None, **ctx: Any
) -> Any:
    memos = {hash_step(name): memo for name, memo in (steps or {}).items()}
    found = events or [{"data": {}, "id": "e", "name": "a/b", "ts": 1}]
    ctx = {"attempt": 0, "run_id": RUN, "stack": {"stack": list(memos)}, **ctx}
    doc = {"ctx": ctx, "event": found[0], "events": found, "steps": memos}
    return request_of("POST", doc, query={"fnId": "shop-f", "stepId": "step"})


# ---- out


@pytest.mark.parametrize("value", [SECRET, None, [1, {"ü": "\ud83d"}], {"data": 1}, 0.5])
def test_what_a_step_and_a_function_return_is_sealed(value: Any) -> None:
    (op,) = document(play(lambda ctx: ctx.step.run("a", lambda: value)))
    assert opened(op["data"]) == value
    assert opened(document(play(lambda ctx: value))) == value


def test_what_names_a_step_and_what_it_raised_stays_readable() -> None:
    def fail() -> None:
        raise ValueError("broken")

    (op,) = document(play(lambda ctx: ctx.step.run("a", fail)))
    assert (op["displayName"], op["error"]["message"]) == ("a", "broken")
    assert "data" not in op
    body = document(play(lambda ctx: fail()))
    assert (body["name"], body["message"]) == ("ValueError", "broken")


def test_of_what_becomes_the_data_of_an_event_one_field_is_sealed() -> None:
    data = {"encrypted": SECRET, "open": 1}

    def invoking(ctx: Any) -> None:
        ctx.step.invoke_by_id("i", function_id="g", data=data)

    def deferring(ctx: Any) -> None:
        ctx.step.defer("d", function_id="g", data=data)

    (op,) = document(play(invoking))
    assert op["opts"]["payload"]["data"]["open"] == 1
    assert opened(op["opts"]["payload"]["data"]["encrypted"]) == SECRET
    deferral, _ = document(play(deferring))
    assert opened(deferral["opts"]["input"]["encrypted"]) == SECRET
    assert data == {"encrypted": SECRET, "open": 1}


def test_what_the_server_must_act_on_stays_readable() -> None:
    def handler(ctx: Any) -> None:
        ctx.step.fetch("f", "https://shop.example/", body={"encrypted": 1})

    (op,) = document(play(handler))
    assert op["opts"]["body"] == '{"encrypted":1}'


@pytest.mark.parametrize("field", ["encrypted", "private"])
def test_events_go_out_with_one_field_sealed_and_stay_what_they_were(field: str) -> None:
    server = Server()
    event = Event(name="a/b", data={field: SECRET, "open": 1})
    hiding(server, Shelf(event_field=field)).send_sync(event, skip_middleware=True)
    ((sent,),) = server.bodies
    assert sent["data"]["open"] == 1
    assert opened(sent["data"][field]) == SECRET
    assert event.data == {field: SECRET, "open": 1}


def test_so_do_signals_and_the_events_of_steps() -> None:
    server = Server(lambda request: reply(200, {"ids": ["1"], "data": {"run_id": "r"}}))
    client = hiding(server)
    client.send_signal_sync("s", {"encrypted": SECRET})
    client.send_signal_sync("s", SECRET)
    event = Event(name="a/b", data={"encrypted": SECRET})
    (op,) = document(play(lambda ctx: ctx.step.send_event("e", event), client=client))
    assert opened(server.bodies[0]["data"]["encrypted"]) == SECRET
    assert server.bodies[1]["data"] == SECRET
    assert opened(server.bodies[2][0]["data"]["encrypted"]) == SECRET
    assert opened(op["data"]) == ["1"]


def test_what_is_sealed_already_stays_as_it_is() -> None:
    assert document(play(lambda ctx: sealed(1))) == sealed(1)


@pytest.mark.parametrize(
    "value",
    [{**sealed(1), "and": SECRET}, {"__ENCRYPTED__": True}, {**sealed(1), "data": {"a": SECRET}}],
)
def test_what_only_looks_sealed_is_sealed(value: Any) -> None:
    assert opened(document(play(lambda ctx: value))) == value


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_is_not_json_is_refused_by_its_step(checkpoint: bool) -> None:
    def handler(ctx: Any) -> Any:
        return ctx.step.run("a", lambda: float("nan"))

    refusal = document(play(handler, checkpoint=checkpoint))
    assert refusal["name"] == "OutputUnserializableError"
    assert refusal["message"] == '"a" returned unserializable data'
    assert document(play(lambda ctx: object()))["message"] == "returned unserializable data"
    with pytest.raises(inngest.InngestError, match="its data is not JSON"):
        hiding().send_sync(Event(name="a", data={"encrypted": object()}))  # type: ignore[dict-item]  # it is refused
    with pytest.raises(ConfigError, match="it is not JSON"):
        hiding().send_signal_sync("s", {"encrypted": object()})


# ---- in


def three(ctx: Any) -> Any:
    return [ctx.step.run(name, str) for name in "abc"]


async def athree(ctx: Any) -> Any:
    return [await ctx.step.run(name, str) for name in "abc"]


@pytest.mark.parametrize("handler", [three, athree])
def test_memos_are_opened(handler: Any) -> None:
    memos = {"a": {"data": sealed(SECRET)}, "b": {"data": sealed(None)}, "c": {"data": 3}}
    assert opened(document(play(handler, steps=memos))) == [SECRET, None, 3]


def test_a_memo_without_a_wrapper_is_opened() -> None:
    memos = {"a": sealed(1), "b": {"data": 2}, "c": {"data": 3}}
    assert opened(document(play(three, steps=memos))) == [1, 2, 3]


def test_an_error_stays_an_error() -> None:
    def handler(ctx: Any) -> Any:
        with pytest.raises(inngest.StepError, match="broken"):
            ctx.step.run("a", str)

    error = {"error": {"name": "ValueError", "message": "broken"}}
    assert opened(document(play(handler, steps={"a": error}))) is None


def test_events_and_signals_that_were_waited_for_are_opened() -> None:
    def handler(ctx: Any) -> Any:
        event = ctx.step.wait_for_event("e", event="x", timeout=1000)
        signal = ctx.step.wait_for_signal("s", signal="x", timeout=1000)
        return [event.data, signal.data]

    event = {"name": "x", "id": "i", "ts": 1, "data": {"encrypted": sealed(1), "open": 2}}
    signal = {"data": {"signal": "x", "data": {"encrypted": sealed(3)}}}
    response = play(handler, steps={"e": event, "s": signal})
    assert opened(document(response)) == [{"encrypted": 1, "open": 2}, {"encrypted": 3}]


def test_the_first_sealed_field_of_an_event_is_opened_whatever_its_name() -> None:
    def handler(ctx: Any) -> Any:
        return [ctx.event.data, [event.data for event in ctx.events]]

    events: list[dict[str, Any]] = [
        {"name": "a/b", "data": {"x": sealed(1)}},
        {"name": "a/b", "data": {"x": sealed(1), "encrypted": sealed(2)}},
        {"name": "a/b", "data": {"plain": 4}},
        {"name": "a/b", "data": None},
    ]
    found = opened(document(play(handler, events=events)))
    assert found[0] == {"x": 1}
    assert found[1] == [{"x": 1}, {"x": sealed(1), "encrypted": 2}, {"plain": 4}, {}]


def test_event_data_that_is_sealed_as_a_whole_is_opened_beside_what_servers_add() -> None:
    event = {"name": "a/b", "data": {**sealed({"a": 1}), "_inngest": {"fn_id": "x"}}}
    found = opened(document(play(lambda ctx: ctx.event.data, events=[event])))
    assert found == {"a": 1, "_inngest": {"fn_id": "x"}}


def test_a_failure_handler_sees_what_the_run_saw() -> None:
    def failed(ctx: Any) -> Any:
        return ctx.event.data

    start = {"name": "a/b", "data": {"encrypted": sealed(SECRET)}}
    data = {"event": start, "events": [start, 7], "function_id": "shop-f", "result": sealed(1)}
    client = hiding()
    client.create_function(fn_id="f", trigger=TRIGGER, on_failure=failed)(print)
    request = call(events=[{"name": "inngest/function.failed", "data": data}])
    request = dataclasses.replace(request, query={"fnId": "shop-f-failure", "stepId": "step"})
    found = opened(document(served(client).answer_sync(request)))
    plain = {"name": "a/b", "data": {"encrypted": SECRET}}
    assert found == {
        "event": plain,
        "events": [plain, 7],
        "function_id": "shop-f",
        "result": 1,
    }


def test_what_the_server_kept_back_is_opened() -> None:
    def script(request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/actions"):
            return reply(200, {hash_step(name): {"data": sealed(name)} for name in "abc"})
        return reply(200, [{"name": "a/b", "data": {"encrypted": sealed(SECRET)}}])

    def handler(ctx: Any) -> Any:
        return [*three(ctx), ctx.events[0].data]

    client = hiding(Server(script))
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    found = opened(document(served(client).answer_sync(call(use_api=True))))
    assert found == ["a", "b", "c", {"encrypted": SECRET}]


# ---- with others


def test_middleware_sees_plain_values_only() -> None:
    seen: list[Any] = []

    class Watching(inngest.MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            seen.append([ctx.event.data, [memo.data for memo in steps.values()]])

        def transform_output(self, result: Any) -> None:
            seen.append(result.output)
            result.output = [result.output]

        def before_send_events(self, events: list[Event]) -> None:
            seen.append(events[0].data)

    client = hiding(middleware=[Watching])

    def handler(ctx: Any) -> Any:
        client.send_sync(Event(name="x", data={"encrypted": 3}))
        return ctx.step.run("a", str)

    event = {"name": "a/b", "data": {"encrypted": sealed(1)}}
    response = play(handler, client=client, events=[event], steps={"a": {"data": sealed(2)}})
    assert seen == [[{"encrypted": 1}, [2]], {"encrypted": 3}, 2]
    assert opened(document(response)) == [2]


@pytest.mark.parametrize("handler", [three, athree])
def test_with_checkpointing_reports_are_sealed_and_the_function_goes_on_plainly(
    handler: Any,
) -> None:
    server = Server([reply(200, b"")])
    client = hiding(server, checkpoint=True)
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    response = served(client).answer_sync(call(fn_id="e0f9", qi_id="q"))
    reported = [step for report in server.bodies for step in report["steps"]]
    assert [opened(step["data"]) for step in reported] == ["", "", ""]
    assert opened(document(response)) == ["", "", ""]


@pytest.mark.parametrize("is_async", KINDS)
def test_a_rerun_with_edited_arguments_takes_them_plainly(is_async: bool) -> None:
    def blocking(ctx: Any) -> Any:
        return ctx.step.run("a", str.upper, "x")

    async def awaiting(ctx: Any) -> Any:
        return await ctx.step.run("a", str.upper, "x")

    client = hiding()
    client.create_function(fn_id="f", trigger=TRIGGER)(awaiting if is_async else blocking)
    request = call(steps={"a": {"input": ["edited"]}})
    request = dataclasses.replace(request, query={"fnId": "shop-f", "stepId": hash_step("a")})
    (op,) = document(served(client).answer_sync(request))
    assert opened(op["data"]) == "EDITED"


def test_typed_outputs_are_sealed_as_their_json() -> None:
    def handler(ctx: Any) -> Any:
        return ctx.step.run("a", lambda: Event(name="x"), output_type=Event).name

    (op,) = document(play(handler))
    assert opened(op["data"])["name"] == "x"
    memo = {"data": sealed(opened(op["data"]))}
    assert opened(document(play(handler, steps={"a": memo}))) == "x"


def test_an_async_function_on_a_loop_is_served_alike() -> None:
    client = hiding()
    client.create_function(fn_id="f", trigger=TRIGGER)(athree)
    memos = {name: {"data": sealed(name)} for name in "abc"}
    response = asyncio.run(served(client).answer(call(steps=memos)))
    assert opened(document(response)) == ["a", "b", "c"]


# ---- what goes wrong


def refusal(memo: Any, *ciphers: Any) -> dict[str, Any]:
    """The reply to a call with a memo that cannot be opened."""
    ran: list[int] = []

    def handler(ctx: Any) -> None:
        ran.append(1)

    response = play(handler, client=hiding(None, *ciphers), steps={"a": {"data": memo}})
    assert response.status == 500
    assert response.headers["x-inngest-no-retry"] == "false"
    assert not ran
    error: dict[str, Any] = document(response)
    assert error["name"] == "CipherError"
    assert SECRET not in response.body.decode()
    return error


def test_a_wrong_key_is_an_error_that_names_the_place() -> None:
    error = refusal(sealed(SECRET), Shelf(key="k2"))
    assert error["message"] == f"shop-f, run {RUN}: step {hash_step('a')}: no key fits"
    assert "cause" not in error


@pytest.mark.parametrize(
    ("memo", "reason"),
    [
        ({**sealed(1), "data": 7}, "holds no text"),
        ({**sealed(1), "data": "k1:" + base64.b64encode(b'{"a"').decode()}, "JSONDecodeError"),
        ({**sealed(1), "data": "k1:" + base64.b64encode(b"\xff").decode()}, "UnicodeDecodeError"),
        ({**sealed(1), "data": "k1:?"}, "failed to decrypt"),
    ],
)
def test_what_was_tampered_with_is_an_error(memo: Any, reason: str) -> None:
    assert reason in refusal(memo)["message"]


def test_event_data_must_be_an_object_behind_the_seal_too() -> None:
    response = play(print, events=[{"name": "a/b", "data": sealed([SECRET])}])
    assert "event.data: what was encrypted is no object" in document(response)["message"]


class Broken(Shelf):
    def encrypt(self, text: bytes) -> str:
        raise OSError(text)

    def decrypt(self, sealed: str) -> bytes:
        raise OSError(SECRET)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_a_broken_cipher_says_is_not_repeated(checkpoint: bool) -> None:
    assert refusal(sealed(1), Broken())["message"].endswith("failed to decrypt: OSError")
    for handler in (lambda ctx: SECRET, lambda ctx: ctx.step.run("a", lambda: SECRET)):
        client = hiding(None, Broken(), checkpoint=checkpoint)
        client.create_function(fn_id="f", trigger=TRIGGER)(handler)
        response = served(client).answer_sync(call(fn_id="e0f9"))
        error = document(response)
        assert error["message"] == 'the cipher "acme/shelf" failed to encrypt: OSError'
        assert SECRET not in response.body.decode()


# ---- several of them


def test_the_first_encrypts_and_each_decrypts_what_bears_its_name() -> None:
    new, old = Shelf(name="acme/new", key="n"), Shelf(name="acme/old", key="o")
    memos = {"a": {"data": sealed(1, new)}, "b": {"data": sealed(2, old)}, "c": {"data": 3}}
    found = document(play(three, client=hiding(None, new, old), steps=memos))
    assert found["__STRATEGY__"] == "acme/new"
    assert json.loads(new.decrypt(found["data"])) == [1, 2, 3]


def test_one_that_only_decrypts_leaves_encrypting_to_the_next() -> None:
    old = Shelf(name="acme/old", decrypt_only=True)
    assert opened(document(play(lambda ctx: 1, client=hiding(None, old, Shelf())))) == 1
    assert document(play(lambda ctx: 1, client=hiding(None, old))) == 1
    memos = {name: {"data": sealed(name, old)} for name in "abc"}
    assert document(play(three, client=hiding(None, old), steps=memos)) == ["a", "b", "c"]


def test_what_bears_another_name_is_left_to_middleware() -> None:
    foreign = sealed(1, Shelf(name="acme/other"))
    memos = {name: {"data": foreign} for name in "abc"}
    assert opened(document(play(three, steps=memos))) == [foreign] * 3


@pytest.mark.parametrize(
    ("ciphers", "message"),
    [
        ((Shelf(), Shelf(key="k2")), 'two ciphers "acme/shelf"'),
        ((Shelf,), "Shelf is no cipher"),
        (("key",), "str is no cipher"),
    ],
)
def test_what_cannot_be_told_apart_or_is_no_cipher_is_refused(ciphers: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hiding(None, *ciphers)


def test_without_a_cipher_nothing_is_asked() -> None:
    client = client_of()
    assert client.engine.home.sealer is None
    assert document(play(lambda ctx: sealed(1), client=client)) == sealed(1)
    (op,) = document(play(lambda ctx: ctx.step.run("a", str), client=client_of()))
    assert (op["op"], op["data"]) == (Opcode.STEP_RUN.value, "")
