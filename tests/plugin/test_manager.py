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
        self.dist = types.SimpleNamespace(name=f"dist-of-{name}", version="1.0")
        self.value = f"module_of_{name}"
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
        if group != "inngest":
            return []
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


def test_a_plugin_that_ends_the_process_when_it_is_imported_does_not(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(self: Point) -> None:
        raise SystemExit("no licence")

    installed.update(bad=None)
    monkeypatch.setattr(Point, "load", leave)
    assert names(client()) == []
    assert "SystemExit: no licence" in caplog.text


# ---- asked for by its options


def test_a_broken_plugin_that_has_options_is_an_error(installed: dict[str, Any]) -> None:
    installed.update(bad=ImportError("No module named 'gone'"))
    with pytest.raises(ConfigError, match=r"gone.*INNGEST_DISABLE_PLUGINS=bad"):
        client(options={"bad": {"level": 1}})


def test_a_broken_plugin_that_has_a_variable_of_options_is_an_error(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update({"not-good": ImportError("gone")})
    monkeypatch.setenv("INNGEST_OPTIONS__NOT_GOOD__LEVEL", "1")
    with pytest.raises(ConfigError, match="gone"):
        client()


def test_options_of_a_plugin_that_is_not_installed_are_an_error_that_names_the_nearest(
    installed: dict[str, Any],
) -> None:
    installed.update(encryption=Named("encryption"))
    with pytest.raises(ConfigError, match=r'"encrpytion".*did you mean "encryption"') as raised:
        client(options={"encrpytion": {"key": "a-secret"}})
    assert "a-secret" not in str(raised.value)


def test_options_of_a_plugin_that_is_switched_off_ask_for_nothing(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update(a=ImportError("gone"))
    monkeypatch.setenv("INNGEST_DISABLE_PLUGINS", "a,absent")
    client(options={"a": {"x": 1}, "absent": {"x": 1}})


# ---- strict


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_strict_client_stops_at_a_broken_plugin(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    installed.update(bad=ImportError("gone"))
    if by == "variable":
        monkeypatch.setenv("INNGEST_STRICT_PLUGINS", "1")
    with pytest.raises(ConfigError, match=r'plugin "bad" of dist-of-bad 1\.0'):
        client(strict_plugins=True if by == "argument" else None)


def test_the_argument_beats_the_variable(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update(bad=ImportError("gone"))
    monkeypatch.setenv("INNGEST_STRICT_PLUGINS", "1")
    client(strict_plugins=False)


# ---- failing in a hook


class FailsLater(Named):
    @hookimpl
    def inngest_serializer(self, config: Any) -> None:
        raise RuntimeError("boom")


class OddMiddleware(Named):
    @hookimpl
    def inngest_middleware(self, config: Any) -> Any:
        return MiddlewareSync


class OddCipher:
    @hookimpl
    def inngest_cipher(self, config: Any) -> None:
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (FailsLater("bad"), "failed in inngest_serializer: RuntimeError: boom"),
        (OddMiddleware("bad"), "expected a list of middleware, got type"),
    ],
)
def test_a_plugin_that_fails_in_a_hook_is_left_out_of_all_of_them(
    installed: dict[str, Any], caplog: pytest.LogCaptureFixture, plugin: Any, said: str
) -> None:
    installed.update(bad=plugin, good=Named("good"))
    assert names(client()) == ["good"]
    (record,) = caplog.records
    assert said in record.getMessage()
    with pytest.raises(ConfigError, match=said):
        client(strict_plugins=True)
    with pytest.raises(ConfigError, match=said):
        client(plugins=["bad"])
    with pytest.raises(ConfigError, match="failed in inngest"):
        client(plugins=[plugin])


def test_a_transport_that_fails_when_it_is_needed_is_named(installed: dict[str, Any]) -> None:
    class Failing:
        @hookimpl
        def inngest_transport(self, config: Any, kind: str) -> None:
            raise OSError("no modem")

    installed.update(modem=Failing())
    with pytest.raises(ConfigError, match='"modem" failed in inngest_transport: OSError: no modem'):
        client().send_sync(inngest_core.Event(name="a"))


def test_a_client_never_goes_on_without_its_cipher(installed: dict[str, Any]) -> None:
    installed.update(hiding=OddCipher())
    with pytest.raises(ConfigError, match='plugin "hiding" failed in inngest_cipher'):
        client()


def test_a_plugin_that_cannot_close_leaves_the_others_to_do_so(
    installed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    class Opening:
        @hookimpl
        def inngest_close(self, config: Any) -> None:
            closed.append("good")

    class Failing:
        @hookimpl
        def inngest_close(self, config: Any) -> None:
            raise OSError("gone")

    installed.update(a=Failing(), b=Opening())
    client().close()
    assert closed == ["good"]
    assert 'plugin "a" failed to close' in caplog.text


# ---- the version of the plugin API


def of_api(version: Any) -> Any:
    plugin: Any = Named("a")
    plugin.inngest_plugin_api = version
    return plugin


def test_a_plugin_may_tell_which_api_it_was_written_for(installed: dict[str, Any]) -> None:
    from inngest_core.plugin import API_VERSION

    assert names(client(plugins=[of_api(API_VERSION)])) == ["a"]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (99, r'plugin "Named" needs the plugin API 99.*upgrade inngest-core'),
        (0, r'plugin "Named" .*upgrade the plugin'),
        ("1", "is a number, and not str"),
    ],
)
def test_a_plugin_of_another_api_is_refused(
    installed: dict[str, Any], version: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        client(plugins=[of_api(version)])
    installed.update(a=of_api(version))
    assert names(client()) == []


def test_a_hook_that_is_to_go_warns_whoever_has_it(installed: dict[str, Any]) -> None:
    import pluggy

    from inngest_core.plugin.finding import register
    from inngest_core.plugin.hooks import new_manager

    class Specs:
        @pluggy.HookspecMarker("inngest")(
            warn_on_impl=DeprecationWarning("inngest_old: use inngest_middleware")
        )
        def inngest_old(self, config: Any) -> None: ...

    class Old:
        @hookimpl
        def inngest_old(self, config: Any) -> None: ...

    manager = new_manager()
    manager.add_hookspecs(Specs)
    with pytest.warns(DeprecationWarning, match="inngest_old: use inngest_middleware"):
        register(manager, Old(), "old")


def test_hooks_cannot_be_wrapped(installed: dict[str, Any]) -> None:
    import pluggy

    class Wrapping:
        @pluggy.HookimplMarker("inngest")(wrapper=True)
        def inngest_serializer(self, config: Any) -> Any:
            return (yield)

    with pytest.raises(ConfigError, match="inngest_serializer cannot be wrapped"):
        client(plugins=[Wrapping()])


# ---- the trace


def test_a_trace_tells_who_answered_what_and_no_value(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Keeping:
        def __repr__(self) -> str:
            return "a-secret"

    class Plugin:
        @hookimpl
        def inngest_serializer(self, config: Any) -> Any:
            return Keeping()

    monkeypatch.setenv("INNGEST_TRACE_PLUGINS", "1")
    monkeypatch.setenv("INNGEST_DISABLE_PLUGINS", "off")
    installed.update(a=Plugin(), b=Named("b"), bad=ImportError("gone"), off=Named("off"))
    client()
    lines = capsys.readouterr().err.splitlines()
    assert "inngest plugins: a, of dist-of-a 1.0: loaded" in lines
    assert "inngest plugins: bad, of dist-of-bad 1.0: broken: gone" in lines
    assert "inngest plugins: off, of dist-of-off 1.0: left out by INNGEST_DISABLE_PLUGINS" in lines
    assert "inngest plugins: inngest_serializer: a -> Keeping" in lines
    assert "inngest plugins: inngest_configure: b -> nothing" in lines
    assert "inngest plugins: inngest_middleware: b -> [str]" in lines
    assert "a-secret" not in "".join(lines)


def test_without_the_variable_nothing_is_traced(
    installed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    installed.update(a=Named("a"))
    client()
    assert capsys.readouterr().err == ""


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


def test_an_installed_plugin_may_be_given_by_its_name_and_stands_where_it_is_given(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update(a=Named("a"), b=Named("b"), c=Named("c"))
    assert names(client(plugins=[Named("own"), "c"])) == ["own", "c", "a", "b"]
    monkeypatch.setenv("INNGEST_LOAD_PLUGINS", "a")
    assert names(client(plugins=["c"])) == ["c", "a"]


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
