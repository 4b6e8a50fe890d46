"""Each hook, asked of a plugin as a stranger would write it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import click
import pytest

import inngest_core as inngest
from inngest_core import ConfigError, Inngest, hookimpl
from inngest_core.cli import build
from inngest_core.plugin import specs
from inngest_core.plugin.hooks import new_manager
from inngest_core.plugin.types import Framework

from ..flow.wiring import Server, ask, call_of, client_of, document

HOOKS = {name: found for name, found in vars(specs).items() if name.startswith("inngest_")}
TRIGGER = inngest.TriggerEvent(event="a/b")


def test_every_hook_has_its_test_here() -> None:
    tested = {name.removeprefix("test_hook_") for name in globals() if "test_hook_" in name}
    assert tested == HOOKS.keys()


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_what_it_asks_for(name: str) -> None:
    assert inspect.getdoc(HOOKS[name])
    assert "return" in HOOKS[name].__annotations__


def test_hook_inngest_configure() -> None:
    class Strict:
        @hookimpl
        def inngest_configure(self, config: Any) -> None:
            if "level" not in config.options("strict"):
                raise ConfigError("strict: give a level")

    client_of(plugins=[Strict()], options={"strict": {"level": 1}})
    with pytest.raises(ConfigError, match="strict: give a level"):
        client_of(plugins=[Strict()])


def test_hook_inngest_framework() -> None:
    from inngest_contrib.fastapi import plugin as fastapi
    from inngest_contrib.flask import plugin as flask

    manager = new_manager()
    for module in (fastapi, flask):
        manager.register(module)
    found: list[Framework] = manager.hook.inngest_framework()
    assert {one.name for one in found} == {"fast_api", "flask"}
    for one in found:
        path, _, attribute = one.serve.partition(":")
        assert callable(getattr(sys.modules[path], attribute))


def test_hook_inngest_transport() -> None:
    server = Server()
    client_of(server).send_sync(inngest.Event(name="a"))
    assert len(server.requests) == 1


def test_hook_inngest_serializer() -> None:
    class Doubling:
        def serialize(self, obj: Any, typ: object) -> object:
            return obj * 2

        def deserialize(self, obj: object, typ: object) -> object:
            return obj

    class Plugin:
        @hookimpl
        def inngest_serializer(self, config: Any) -> Doubling:
            return Doubling()

    client = client_of(plugins=[Plugin()])
    client.create_function(fn_id="f", trigger=TRIGGER, output_type=str)(lambda ctx: "ab")
    assert document(ask(client, call_of("shop-f"))) == "abab"


def test_hook_inngest_cipher() -> None:
    class Backwards(inngest.Cipher):
        name = "acme/backwards"

        def encrypt(self, text: bytes) -> str:
            return text[::-1].decode()

        def decrypt(self, sealed: str) -> bytes:
            return sealed[::-1].encode()

    class Plugin:
        @hookimpl
        def inngest_cipher(self, config: Any) -> Backwards | None:
            return Backwards() if config.options("backwards") else None

    client = client_of(plugins=[Plugin()], options={"backwards": {"on": True}})
    client.create_function(fn_id="f", trigger=TRIGGER)(lambda ctx: [1, 2])
    sealed = {"__ENCRYPTED__": True, "__STRATEGY__": "acme/backwards", "data": "]2,1["}
    assert document(ask(client, call_of("shop-f"))) == sealed
    assert client_of(plugins=[Plugin()]).engine.home.sealer is None


def test_hook_inngest_middleware() -> None:
    class Stamping(inngest.MiddlewareSync):
        def transform_output(self, result: inngest.TransformOutputResult) -> None:
            result.output = "stamped"

    class Plugin:
        @hookimpl
        def inngest_middleware(self, config: Any) -> list[Any]:
            return [Stamping] if config.options("stamp").get("on") else []

    for on in (True, False):
        client = client_of(plugins=[Plugin()], options={"stamp": {"on": on}})
        client.create_function(fn_id="f", trigger=TRIGGER)(lambda ctx: "plain")
        assert document(ask(client, call_of("shop-f"))) == ("stamped" if on else "plain")


def test_hook_inngest_commands() -> None:
    class Plugin:
        @hookimpl
        def inngest_commands(self, group: click.Group) -> None:
            group.add_command(click.Command("hello"))

    group = build(client_of(plugins=[Plugin()]))
    assert "hello" in group.list_commands(click.Context(group))


def test_hook_inngest_close() -> None:
    closed: list[str] = []

    class Plugin:
        @hookimpl
        def inngest_close(self, config: Any) -> None:
            closed.append(config.app_id)

    client: Inngest = client_of(plugins=[Plugin()])
    client.close()
    assert closed == ["shop"]
