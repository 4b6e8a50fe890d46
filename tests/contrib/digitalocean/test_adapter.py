"""The DigitalOcean adapter: by the conformance kit, through the simulator, and event by event."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

import inngest_core as inngest
from inngest_contrib.digitalocean import plugin, serve
from inngest_contrib.digitalocean.simulator import FULL_PATH, Context, DigitalOceanSimulator
from inngest_contrib.testing.conformance import (
    CALL,
    Answered,
    Asked,
    Conformance,
    RecordedServer,
    call,
    cloud_client,
    create,
    dev_client,
    functions,
    signed,
)
from inngest_core.wire.signing import verify

HOST = "https://faas-nyc1-2ef2e6cc.doserverless.co"
CONTEXT = SimpleNamespace(api_host=HOST, function_name="/fn-1/sample/shop")


class TestDigitalOcean(Conformance):
    framework = "digitalocean"
    path = FULL_PATH
    routes = False

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        return DigitalOceanSimulator(serve(client, functions, **options)).app

    def ask(self, app: Any, asked: Asked) -> Answered:
        response = Client(app).open(
            asked.path,
            method=asked.method,
            query_string=asked.query,
            headers=list(asked.headers.items()),
            data=asked.body,
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answered(response.status_code, headers, response.data)

    def is_raw_request(self, raw: object) -> bool:
        return (
            isinstance(raw, dict)
            and set(raw) == {"event", "context"}
            and raw["event"]["http"]["method"] == "POST"
            and isinstance(raw["context"], Context)
        )


_client = dev_client()
MAIN = serve(_client, functions(_client))


def event(asked: Asked, **http: Any) -> dict[str, Any]:
    """The web event of a request; http: what differs in it, None for what is not there."""
    raw = {
        "body": asked.body.decode(),
        "headers": dict(asked.headers),
        "isBase64Encoded": False,
        "method": asked.method,
        "path": "",
        "queryString": asked.query,
    }
    return {"http": {name: one for name, one in {**raw, **http}.items() if one is not None}}


def answer(event: Any, context: Any = CONTEXT, **arguments: Any) -> dict[str, Any]:
    client = dev_client(**arguments)
    return serve(client, functions(client))(event, context)


# ---- events


def test_a_main_is_called_with_an_event_and_a_context() -> None:
    reply = answer(event(call("plain")))
    assert reply["statusCode"] == 200
    assert reply["body"] == {"n": 1, "é": "ü"}
    assert reply["headers"]["content-type"] == "application/json"
    assert reply["headers"]["x-inngest-framework"] == "digitalocean"


def test_a_body_in_base64_is_decoded() -> None:
    asked = call("aplain")
    encoded = base64.b64encode(asked.body).decode()
    assert answer(event(asked, body=encoded, isBase64Encoded=True))["statusCode"] == 200


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_headers_and_method_may_be_in_any_case(case: Any) -> None:
    asked = signed(call("plain"))
    headers = {case(name): value for name, value in asked.headers.items()}
    client = cloud_client()
    main = serve(client, functions(client))
    assert main(event(asked, headers=headers, method="post"), CONTEXT)["statusCode"] == 200


@pytest.mark.parametrize(
    "query",
    [
        "fnId=shop-plain&stepId=step",
        "fnId=shop%2Dplain&fnId=other&x=",
        {"fnId": "shop-plain", "stepId": "step"},
        {"fnId": ["shop-plain", "other"], "stepId": ["step"], "n": 1, "none": []},
    ],
)
def test_a_query_is_a_text_or_parsed_and_the_first_of_its_values_counts(query: Any) -> None:
    assert answer(event(call("plain"), queryString=query))["statusCode"] == 200


def test_parameters_that_were_parsed_into_the_event_are_read_there() -> None:
    parsed = {"fnId": "shop-plain", "stepId": "step", **event(call("plain"), queryString=None)}
    assert answer(parsed)["statusCode"] == 200


PARSED = {"headers": {}, "method": "POST", "path": ""}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, 'the event has no "http"'),
        ({"http": None, "fnId": "shop-plain"}, 'the event has no "http"'),
        ({"http": "GET"}, 'the event has no "http"'),
        ({"http": {"headers": {}, "queryString": ""}}, 'event.http has no "method"'),
        ({"http": {"method": "GET", "queryString": ""}}, 'event.http has no "headers"'),
        ({"http": PARSED, **CALL}, 'event.http has neither "queryString" nor "body"'),
        (event(call("plain"), body={"ctx": {}}), "event.http.body must be text, got dict"),
    ],
)
def test_an_event_that_is_not_raw_is_refused_by_what_is_missing_and_what_to_do(
    bad: dict[str, Any], message: str
) -> None:
    reply = answer(bad)
    assert reply["statusCode"] == 400
    assert reply["headers"] == {"content-type": "application/json"}
    assert reply["body"]["code"] == "body_invalid"
    assert reply["body"]["message"].startswith(message)
    assert "set `web: raw` for the function in project.yml" in reply["body"]["message"]


@pytest.mark.parametrize("body", ["no base64!", "YQ", "é"])
def test_what_should_be_base64_and_is_not_is_refused(body: str) -> None:
    reply = answer(event(call("plain"), body=body, isBase64Encoded=True))
    assert reply["statusCode"] == 400
    assert "should be base64 and is not" in reply["body"]["message"]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("fnId=shop-plain"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("queryString", "body", "isBase64Encoded", "path")
HTTP = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "X"]) | ODD,
        "headers": st.dictionaries(st.text(max_size=5), ODD, max_size=2) | ODD,
    },
    optional=dict.fromkeys(FIELDS, ODD),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(http=HTTP | ODD)
def test_no_event_makes_main_raise(http: Any) -> None:
    reply = MAIN({"http": http}, CONTEXT)
    assert reply["statusCode"] in (200, 400, 405, 500)
    assert reply["headers"]["content-type"] == "application/json"


def test_half_a_character_in_a_body_is_refused() -> None:
    reply = answer(event(call("plain"), body='{"ctx":"\ud800"}'))
    assert reply["statusCode"] == 400


def test_no_body_is_an_empty_one() -> None:
    assert answer(event(Asked("GET"), body=None))["statusCode"] == 200
    assert answer(event(call("plain"), body=None))["body"]["code"] == "body_invalid"


def test_head_is_answered_without_a_body() -> None:
    reply = answer(event(Asked("HEAD")))
    assert (reply["statusCode"], reply["body"]) == (200, None)


def test_a_method_that_is_not_known_is_refused_with_those_that_are() -> None:
    reply = answer(event(Asked("DELETE")))
    assert reply["statusCode"] == 405
    assert "POST" in reply["headers"]["allow"]


# ---- the address


@pytest.mark.parametrize(
    ("name", "host", "registered"),
    [
        ("/fn-1/sample/shop", HOST, f"{HOST}/api/v1/web/fn-1/sample/shop"),
        ("/fn-1/sample/shop", f"{HOST}/", f"{HOST}/api/v1/web/fn-1/sample/shop"),
        ("/fn-1/default/shop", HOST, f"{HOST}/api/v1/web/fn-1/default/shop"),
        # The name of a function outside of packages has no package, its address has.
        ("/fn-1/shop", HOST, f"{HOST}/api/v1/web/fn-1/default/shop"),
        (None, None, "https://shop.example/jobs"),
        ("shop", HOST, f"{HOST}/api/v1/web/shop"),
    ],
)
def test_the_registered_address_is_that_of_the_function(
    name: Any, host: Any, registered: str
) -> None:
    server = RecordedServer()
    client = dev_client(server)
    context = SimpleNamespace(function_name=name, api_host=host)
    asked = event(Asked("PUT", headers={"Host": "shop.example"}), path="/jobs")
    assert serve(client, functions(client))(asked, context)["statusCode"] == 200
    assert server.bodies[0]["url"] == registered


# ---- replies arrive


def returning(value: Any, client: inngest.Inngest) -> inngest.Function[Any]:
    return create(client, "f", lambda ctx: value)


@pytest.mark.parametrize("value", [{"a": [1, None]}, ["é", 1.5], {}, [], {"b": 1, "a": 2}])
def test_an_object_or_array_is_handed_over_as_it_is(value: Any) -> None:
    client = dev_client()
    main = serve(client, [returning(value, client)])
    assert main(event(call("f")), CONTEXT)["body"] == value


@pytest.mark.parametrize("value", ["done", "", None, 7, True, "é\n"])
def test_any_other_value_is_in_base64_for_the_platform_would_misread_it(value: Any) -> None:
    client = dev_client()
    main = serve(client, [returning(value, client)])
    body = main(event(call("f")), CONTEXT)["body"]
    assert json.loads(base64.b64decode(body)) == value


def test_a_signed_reply_is_in_base64_so_that_its_bytes_are_those_that_were_signed() -> None:
    asked = signed(call("plain"))
    client = cloud_client()
    reply = serve(client, functions(client))(event(asked), CONTEXT)
    key = "signkey-test-0123456789abcdef0123456789abcdef"
    body = base64.b64decode(reply["body"], validate=True)
    header = reply["headers"]["x-inngest-signature"]
    assert verify(header, body, [key], int(header[2:12])) == key
    assert json.loads(body) == {"n": 1, "é": "ü"}


def test_the_plugin_describes_the_adapter() -> None:
    described = plugin.inngest_framework()
    assert described.name == "digitalocean"
    assert described.serve == "inngest_contrib.digitalocean:serve"


# ---- an instance lives on between calls


def test_async_functions_share_one_loop_and_calls_leave_no_threads() -> None:
    loops: set[int] = set()
    client = dev_client()

    async def awaiting(ctx: inngest.Context) -> Any:
        loops.add(id(asyncio.get_running_loop()))
        return await ctx.step.run("a", lambda: 1)

    create(client, "awaiting", awaiting)
    main = serve(client)
    assert main(event(call("awaiting")), CONTEXT)["statusCode"] == 206
    threads = set(threading.enumerate())
    for _ in range(5):
        assert main(event(call("awaiting")), CONTEXT)["statusCode"] == 206
    # Those of other tests may end meanwhile.
    assert set(threading.enumerate()) <= threads
    assert len(loops) == 1
    client.close()


def test_a_blocking_function_runs_in_the_thread_that_calls_main() -> None:
    threads = []
    client = dev_client()
    create(client, "blocking", lambda ctx: threads.append(threading.get_ident()))
    serve(client)(event(call("blocking")), CONTEXT)
    assert threads == [threading.get_ident()]


def test_main_may_be_called_where_a_loop_runs() -> None:
    client = dev_client()
    main = serve(client, functions(client))

    async def within() -> Any:
        return main(event(call("aplain")), CONTEXT)

    assert asyncio.run(within())["statusCode"] == 200
    client.close()
