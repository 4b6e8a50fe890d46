"""Plugins: found, allowed, denied, broken; and whose answer counts."""

from __future__ import annotations

import logging
import sys
import types
from importlib import metadata
from typing import Any

import pytest

import inngest_core
from inngest_core import ConfigError, Inngest, MiddlewareSync, hookimpl
from inngest_core.plugin import manager as managing


class Point:
    """An entry point, as importlib.metadata finds it."""

    def __init__(self, name: str, plugin: Any) -> None:
        self.name = name
        self.dist = types.SimpleNamespace(name=f"dist-of-{name}")
        self._plugin = plugin

    def load(self) -> Any:
        if isinstance(self._plugin, Exception):
            raise self._plugin
        return self._plugin


class Named:
    """A plugin that says when it is asked, and offers a middleware of its name."""

    def __init__(self, name: str, asked: list[str] | None = None) -> None:
        self.name = name
        self.asked = asked if asked is not None else []

    @hookimpl
    def inngest_configure(self, config: Any) -> None:
        self.asked.append(self.name)

    @hookimpl
    def inngest_middleware(self, config: Any) -> list[str]:
        return [self.name]


class Misspelt:
    @hookimpl
    def inngest_middlewares(self, config: Any) -> None: ...


class WrongArguments:
    @hookimpl
    def inngest_middleware(self, configuration: Any) -> None: ...


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is installed, by name; nothing at first."""
    found: dict[str, Any] = {}

    def entry_points(*, group: str) -> list[Point]:
        assert group == "inngest"
        return [Point(name, plugin) for name, plugin in found.items()]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    return found


def client(**arguments: Any) -> Inngest:
    return Inngest(app_id="shop", is_production=False, **arguments)


def names(of: Inngest) -> list[Any]:
    return of.middleware


# ---- discovery


def test_installed_plugins_are_found_in_the_order_of_their_names(
    installed: dict[str, Any],
) -> None:
    installed.update(zeta=Named("zeta"), alpha=Named("alpha"), mid=Named("mid"))
    assert names(client()) == ["alpha", "mid", "zeta"]


def test_the_middleware_of_plugins_is_outside_that_of_the_client(
    installed: dict[str, Any],
) -> None:
    class Own(MiddlewareSync): ...

    installed.update(alpha=Named("alpha"))
    assert names(client(middleware=[Own])) == ["alpha", Own]


def test_each_client_asks_its_plugins_once(installed: dict[str, Any]) -> None:
    asked: list[str] = []
    installed.update(alpha=Named("alpha", asked))
    client()
    client()
    assert asked == ["alpha", "alpha"]


@pytest.mark.parametrize(
    ("load", "disable", "found"),
    [
        (None, None, ["a", "b", "c"]),
        ("", None, []),
        ("b", None, ["b"]),
        ("c, a", None, ["a", "c"]),
        (None, "b", ["a", "c"]),
        ("a,b", "b", ["a"]),
    ],
)
def test_variables_allow_and_deny(
    installed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    load: str | None,
    disable: str | None,
    found: list[str],
) -> None:
    installed.update({name: Named(name) for name in "abc"})
    for variable, value in [("LOAD", load), ("DISABLE", disable)]:
        if value is not None:
            monkeypatch.setenv(f"INNGEST_{variable}_PLUGINS", value)
    assert names(client()) == found


def test_a_plugin_that_was_asked_for_and_is_not_installed_is_missed(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update(a=Named("a"))
    monkeypatch.setenv("INNGEST_LOAD_PLUGINS", "a,encryptoin")
    with pytest.raises(ConfigError, match=r'INNGEST_LOAD_PLUGINS: "encryptoin" is not installed'):
        client()


# ---- broken ones

BROKEN = [
    pytest.param(ImportError("no module named x"), "no module named x", id="import"),
    pytest.param(RuntimeError("boom"), "boom", id="raises"),
    pytest.param(Misspelt(), "inngest_middlewares", id="misspelt hook"),
    pytest.param(WrongArguments(), "configuration", id="wrong arguments"),
    pytest.param(Named, "is the class Named, not an instance", id="class"),
]


@pytest.mark.parametrize(("plugin", "why"), BROKEN)
def test_a_broken_plugin_names_itself_and_the_remedy_and_the_others_work(
    installed: dict[str, Any], caplog: pytest.LogCaptureFixture, plugin: Any, why: str
) -> None:
    installed.update(bad=plugin, good=Named("good"))
    with caplog.at_level(logging.WARNING, "inngest"):
        assert names(client()) == ["good"]
    (record,) = caplog.records
    said = record.getMessage()
    for part in ('plugin "bad"', "dist-of-bad", why, "INNGEST_DISABLE_PLUGINS=bad"):
        assert part in said


@pytest.mark.parametrize(("plugin", "why"), BROKEN)
def test_a_broken_plugin_that_was_asked_for_is_an_error(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, plugin: Any, why: str
) -> None:
    installed.update(bad=plugin)
    monkeypatch.setenv("INNGEST_LOAD_PLUGINS", "bad")
    with pytest.raises(ConfigError, match=why):
        client()


@pytest.mark.parametrize(("plugin", "why"), BROKEN[2:])
def test_a_broken_plugin_that_was_given_is_an_error(
    installed: dict[str, Any], plugin: Any, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        client(plugins=[plugin])


def test_a_plugin_that_refuses_its_options_stops_the_client(installed: dict[str, Any]) -> None:
    class Strict:
        @hookimpl
        def inngest_configure(self, config: Any) -> None:
            if config.options("strict").get("level") not in (None, 1, 2):
                raise ConfigError("strict: level is 1 or 2")

    installed.update(strict=Strict())
    client(options={"strict": {"level": 2}})
    with pytest.raises(ConfigError, match="strict: level is 1 or 2"):
        client(options={"strict": {"level": 3}})


# ---- given ones


def test_plugins_are_given_as_objects_or_dotted_paths(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("a_plugin_module")
    module.inngest_middleware = hookimpl(lambda config: ["module"])  # type: ignore[attr-defined]
    module.instance = Named("attribute")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_plugin_module", module)
    given = ["a_plugin_module", "a_plugin_module:instance", Named("object")]
    assert names(client(plugins=given)) == ["module", "attribute", "object"]


@pytest.mark.parametrize("path", ["no_such_module", "inngest_core:NoSuchName", ""])
def test_a_path_that_leads_nowhere_is_named(installed: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=rf'plugins: "{path}" cannot be imported'):
        client(plugins=[path])


def test_a_plugin_given_twice_is_asked_once(installed: dict[str, Any]) -> None:
    plugin = Named("one")
    assert names(client(plugins=[plugin, plugin])) == ["one"]


# ---- whose answer counts


class Offering:
    def __init__(self, what: str) -> None:
        self.what = what

    @hookimpl
    def inngest_serializer(self, config: Any) -> str:
        return self.what

    @hookimpl
    def inngest_transport(self, config: Any, kind: str) -> str:
        return f"{self.what} {kind}"


def folded(given: list[Any]) -> Any:
    config = client().config
    return managing.fold(config, given, inngest_core.client.BUILTIN_PLUGINS)


def test_ours_are_asked_last(installed: dict[str, Any]) -> None:
    plain = folded([])
    assert type(plain.serializer).__name__ == "DefaultSerializer"
    assert type(plain.blocking_transport()).__name__ == "HttpTransport"
    assert type(plain.async_transport()).__name__ == "AsyncHttpTransport"
    other = folded([Offering("x")])
    assert other.serializer == "x"
    assert other.blocking_transport() == "x blocking"
    assert other.async_transport() == "x async"


def test_a_given_plugin_beats_an_installed_one_and_the_first_given_the_next(
    installed: dict[str, Any],
) -> None:
    installed.update(a=Offering("installed a"), b=Offering("installed b"))
    assert folded([]).serializer == "installed a"
    assert folded([Offering("one"), Offering("two")]).serializer == "one"


def test_tryfirst_is_outermost_and_trylast_innermost(installed: dict[str, Any]) -> None:
    class First:
        @hookimpl(tryfirst=True)
        def inngest_middleware(self, config: Any) -> list[str]:
            return ["first"]

    class Last:
        @hookimpl(trylast=True)
        def inngest_middleware(self, config: Any) -> list[str]:
            return ["last"]

    installed.update(a=Last(), b=Named("b"), c=Named("c"), d=First())
    assert names(client()) == ["first", "b", "c", "last"]


def test_the_argument_serializer_beats_every_plugin(installed: dict[str, Any]) -> None:
    installed.update(a=Offering("installed"))
    own = inngest_core.PydanticSerializer()
    assert client(serializer=own).engine.home.codec._serializer is own


def test_plugins_give_back_what_they_opened(installed: dict[str, Any]) -> None:
    closed: list[str] = []

    class Opening:
        @hookimpl
        def inngest_close(self, config: Any) -> None:
            closed.append(config.app_id)

    client(plugins=[Opening()]).close()
    assert closed == ["shop"]


def test_hookimpl_marks_as_pluggy_does() -> None:
    import pluggy

    def hook(config: Any) -> None: ...

    def same(config: Any) -> None: ...

    pluggy.HookimplMarker("inngest")(hook, trylast=True)
    assert vars(hookimpl(trylast=True)(same)) == vars(hook)
