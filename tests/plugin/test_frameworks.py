"""Adapters: listed without being loaded, served by their name, and who they are on the wire."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import ConfigError, hookimpl
from inngest_core.comm import CommHandler, CommRequest

DESCRIPTOR = inngest.Framework(name="third_party", version="1.0", serve=f"{__name__}:serve")


def serve(client: inngest.Inngest, *, path: str = "/") -> tuple[CommHandler, str]:
    """Serve as an adapter of a stranger would."""
    return CommHandler(client=client, framework=DESCRIPTOR), path


class Third:
    @hookimpl
    def inngest_framework(self) -> inngest.Framework:
        return DESCRIPTOR


class Elsewhere:
    @hookimpl
    def inngest_framework(self) -> inngest.Framework:
        return inngest.Framework("elsewhere", "1.0", "a_module_that_is_absent:serve")


class Silent:
    pass


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have some adapters installed."""

    def entry_points(*, group: str) -> list[Any]:
        if group != "inngest.frameworks":
            return []
        return [
            metadata.EntryPoint("third", f"{__name__}:THIRD", group),
            metadata.EntryPoint("classy", f"{__name__}:Third", group),
            metadata.EntryPoint("elsewhere", f"{__name__}:ELSEWHERE", group),
            metadata.EntryPoint("gone", "a_module_that_is_absent:plugin", group),
            metadata.EntryPoint("silent", f"{__name__}:SILENT", group),
        ]

    monkeypatch.setattr(metadata, "entry_points", entry_points)


THIRD, ELSEWHERE, SILENT = Third(), Elsewhere(), Silent()


def test_adapters_are_listed_without_being_loaded() -> None:
    code = (
        "import sys, inngest_core; found = inngest_core.frameworks(); print(*found); "
        "assert not {'flask', 'fastapi', 'inngest_contrib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert {"fastapi", "flask"} <= set(names)
    assert names == sorted(names)


def test_our_own_adapters_say_where_they_come_from() -> None:
    found = inngest.frameworks()["flask"]
    assert (found.name, found.distribution) == ("flask", "inngest-core")
    assert found.version == metadata.version("inngest-core")


OURS = [name for name, one in inngest.frameworks().items() if one.distribution == "inngest-core"]


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_adapters_describes_itself(name: str) -> None:
    descriptor = inngest.framework(name).describe()
    assert descriptor.version == inngest.__version__
    module, _, attribute = descriptor.serve.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.usefixtures("third")
def test_an_adapter_of_a_stranger_serves_by_its_name() -> None:
    client = inngest.Inngest(app_id="shop", is_production=False)
    handler, path = inngest.framework("third").serve(client, path="/here")
    assert path == "/here"
    request = CommRequest("GET", "http://shop/", {}, {}, b"", None)
    assert handler.answer_sync(request).headers["x-inngest-framework"] == "third_party"


@pytest.mark.parametrize("name", ["flask", "fastapi"])
def test_our_adapters_bear_the_name_of_their_descriptor_on_the_wire(name: str) -> None:
    client = inngest.Inngest(app_id="shop", is_production=False)
    adapter = inngest.framework(name)
    if name == "flask":
        import flask

        app = flask.Flask("shop")
        adapter.serve(app, client)
        headers: Any = app.test_client().get("/api/inngest").headers
    else:
        import fastapi
        from fastapi.testclient import TestClient

        asgi = fastapi.FastAPI()
        adapter.serve(asgi, client)
        headers = TestClient(asgi).get("/api/inngest").headers
    assert headers["x-inngest-framework"] == adapter.describe().name


@pytest.mark.usefixtures("third")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("thrid", 'framework: "thrid" is not installed; did you mean "third"'),
        ("nothing-like-it", "installed are: classy, elsewhere, gone, silent, third"),
        ("gone", "install a_module_that_is_absent"),
        ("classy", "is the class Third, not an instance"),
        ("elsewhere", "install a_module_that_is_absent"),
        ("silent", "returned NoneType, and a Framework is needed"),
    ],
)
def test_an_adapter_that_cannot_serve_says_why(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        inngest.framework(name).serve()
