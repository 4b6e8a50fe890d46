"""The kit itself: it passes what is right, finds what is wrong, and stands by itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

import inngest_core as inngest
from inngest_contrib import testing
from inngest_contrib.asgi import serve
from inngest_contrib.testing.conformance import ASGIConformance
from inngest_contrib.testing.conformance.tables import cloud_cases, dev_cases, matches

KIT = Path(testing.__file__).parent / "conformance"
Message = MutableMapping[str, Any]
Damage = Callable[[Message], Message]
"""What a bad adapter makes of a scope or of a message that it sends."""


def same(message: Message) -> Message:
    return message


class Damaged(ASGIConformance):
    """An adapter that damages what it is given or what it sends."""

    framework = "asgi"
    streams = True

    def __init__(self, received: Damage = same, sent: Damage = same, **changed: Any) -> None:
        self.received = received
        self.sent = sent
        self.changed = changed

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = serve(client, functions, **{**options, **self.changed})

        async def damaging(scope: Message, receive: Any, send: Any) -> None:
            async def damaged(message: Message) -> None:
                await send(self.sent(message))

            await app(self.received(scope), receive, damaged)

        return damaging

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, dict)


def without(name: bytes) -> Damage:
    def damage(message: Message) -> Message:
        headers = [pair for pair in message.get("headers", []) if pair[0] != name]
        return {**message, "headers": headers} if "headers" in message else message

    return damage


def with_body(change: Callable[[bytes], bytes]) -> Damage:
    def damage(message: Message) -> Message:
        return {**message, "body": change(message["body"])} if "body" in message else message

    return damage


def replacing(**fields: Any) -> Damage:
    return lambda message: {**message, **fields}


def last_value(scope: Message) -> Message:
    pairs = [part.split(b"=") for part in scope["query_string"].split(b"&")]
    return {**scope, "query_string": b"&".join(b"=".join(p) for p in reversed(pairs))}


def loud(scope: Message) -> Message:
    return {**scope, "headers": [(name.upper(), value) for name, value in scope["headers"]]}


def believing(scope: Message) -> Message:
    said = dict(scope["headers"])
    headers = {**said, b"host": said.get(b"x-forwarded-host", said[b"host"])}
    return {**scope, "headers": list(headers.items())}


DAMAGES: dict[str, tuple[dict[str, Any], Callable[[Damaged], None]]] = {
    "the last of two parameters": (
        {"received": last_value},
        lambda kit: kit.test_in_dev_mode("the first of two parameters counts"),
    ),
    "header names as they came": (
        {"received": loud},
        lambda kit: kit.test_in_the_cloud("signed call"),
    ),
    "no query": (
        {"received": replacing(query_string=b"")},
        lambda kit: kit.test_in_dev_mode("blocking"),
    ),
    "a body with a line break behind it": (
        {"sent": with_body(lambda body: body + b"\n")},
        lambda kit: kit.test_in_dev_mode("async"),
    ),
    "a body in another encoding": (
        {"sent": with_body(lambda body: body.decode().encode("utf-16"))},
        lambda kit: kit.test_in_dev_mode("blocking"),
    ),
    "a reply without its headers": (
        {"sent": without(b"x-inngest-framework")},
        lambda kit: kit.test_in_dev_mode("blocking step"),
    ),
    "a reply without its signature": (
        {"sent": without(b"x-inngest-signature")},
        lambda kit: kit.test_in_the_cloud("signed call"),
    ),
    "an error without what it says of another attempt": (
        {"sent": without(b"x-inngest-no-retry")},
        lambda kit: kit.test_errors_say_whether_another_attempt_may_help("fail", "false"),
    ),
    "another status": (
        {"sent": replacing(status=200)},
        lambda kit: kit.test_in_dev_mode("async step"),
    ),
    "a body in reply to HEAD": (
        {"sent": with_body(lambda body: body or b"{}")},
        lambda kit: kit.test_head_has_the_headers_of_get_and_no_body(),
    ),
    "forwarded headers that are believed": (
        {"received": believing},
        lambda kit: kit.test_forwarded_headers_are_not_believed_unless_the_framework_is_told_to(),
    ),
    "a path that is not registered": (
        {"public_path": "/other"},
        lambda kit: kit.test_the_registered_address_is_the_one_asked_for_without_its_query(),
    ),
    "a stream that is none": (
        {"streaming": inngest.Streaming.DISABLE},
        lambda kit: kit.test_a_call_is_streamed("plain", 200),
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_an_adapter_gets_wrong_is_found(name: str) -> None:
    damage, claim = DAMAGES[name]
    claim(Damaged())
    with pytest.raises((AssertionError, KeyError)):
        claim(Damaged(**damage))


def test_another_request_for_middleware_is_found() -> None:
    class Other(Damaged):
        def is_raw_request(self, raw: object) -> bool:
            return isinstance(raw, str)

    with pytest.raises(AssertionError):
        Other().test_middleware_sees_the_request_of_the_framework("plain")


def test_every_row_is_a_request_of_its_own() -> None:
    for cases in (dev_cases(), cloud_cases()):
        asked = [(case.asked.method, case.asked.target, case.asked.body) for case in cases.values()]
        assert len(asked) > 20
        assert all(isinstance(body, bytes) for _, _, body in asked)


@pytest.mark.parametrize(
    ("found", "expected", "result"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {}, False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([{"a": 1}], [{"a": 1}, {"a": 1}], False),
        ({"a": 1}, [{"a": 1}], False),
        (None, {"a": 1}, False),
    ],
)
def test_what_is_expected_may_be_less_than_what_is_found(
    found: Any, expected: Any, result: bool
) -> None:
    assert matches(found, expected) is result


def imported(path: Path) -> list[tuple[str, str]]:
    """Module and name of every import of a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


@pytest.mark.parametrize("path", sorted(KIT.glob("*.py")), ids=lambda path: path.stem)
def test_the_kit_needs_pytest_and_no_test_or_private_name_of_ours(path: Path) -> None:
    allowed = {"pytest", "httpx", "inngest_core", "inngest_contrib"}
    for module, name in imported(path):
        top = module.partition(".")[0]
        local = (KIT / f"{top}.py").exists()
        assert local or top in allowed or top in sys.stdlib_module_names, module
        assert not name.startswith("_"), name


def test_importing_the_kit_imports_no_framework_and_no_server() -> None:
    code = (
        "import inngest_contrib.testing.conformance, sys; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"flask", "fastapi", "starlette", "uvicorn", "aiohttp"} & set(done.stdout.split())
