"""`new-plugin`: the files of a plugin that installs, is found, and passes its own tests."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import click

from ..plugin.types import API_VERSION
from ..version import VERSION
from .failure import Failure, WrongInput
from .show import json_option, show_json

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The directory in which the new one is made.  [default: here]",
)
@json_option
def new_plugin(name: str, into: Path, as_json: bool) -> None:
    """
    Write the files of a plugin of your own.

    NAME is what its options and INNGEST_DISABLE_PLUGINS call it. What is written works as it
    is: a middleware that tells of slow steps, with its tests; put your own in its place.
    """
    if not _NAME.fullmatch(name):
        raise WrongInput(f'"{name}": a name is made of a-z, 0-9 and single hyphens, like my-audit')
    root = into / f"inngest-{name}"
    files = rendered(name)
    _write(root, files)
    if as_json:
        show_json({"directory": str(root), "files": sorted(files)})
        return
    click.echo(f"{root} is written. Install it, and run its tests:")
    click.echo(f"  pip install -e '{root}[test]'")
    click.echo(f"  pytest {root}")
    click.echo("  inngest-core plugins")


def rendered(name: str) -> dict[str, str]:
    """The files of a plugin, by their paths."""
    words = {
        "name": name,
        "distribution": f"inngest-{name}",
        "package": f"inngest_{name.replace('-', '_')}",
        "variable": f"INNGEST_OPTIONS__{name.replace('-', '_').upper()}__SLOWER_THAN",
        "api": str(API_VERSION),
        "version": VERSION,
    }
    filled = {path: Template(text).substitute(words) for path, text in _FILES.items()}
    return {Template(path).substitute(words): text for path, text in filled.items()}


def _write(root: Path, files: dict[str, str]) -> None:
    if root.exists():
        raise Failure(f"{root} is there already; choose another name, or --into another directory")
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{error.filename} cannot be written: {error.strerror}") from error


_PYPROJECT = """\
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"

[project]
name = "$distribution"
version = "0.1"
description = "Tells which steps of Inngest functions are slow"
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["inngest-core>=$version"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.inngest]
$name = "$package.plugin"

[tool.setuptools]
packages = ["$package"]
package-data = { "$package" = ["py.typed"] }
"""

_README = """\
# $distribution

Tells in the log which steps were slow. It is found as soon as it is installed, and does nothing
until it has its option:

```python
client = inngest_core.Inngest(app_id="shop", options={"$name": {"slower_than": 0.5}})
```

or `$variable=0.5` in the environment.
"""

_INIT = '''\
"""Tells which steps of Inngest functions are slow."""
'''

_PLUGIN = '''\
"""The hooks. Each is asked when a client is built, never during a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import inngest_core as inngest

from .slow import Slow

NAME = "$name"
inngest_plugin_api = $api


@inngest.hookimpl
def inngest_configure(config: Any) -> None:
    """Check the options, so that a wrong one is told when the app starts."""
    _limit(config)


@inngest.hookimpl
def inngest_middleware(config: Any) -> Sequence[Any]:
    """Offer the middleware, where the option asks for it."""
    limit = _limit(config)
    return [] if limit is None else [lambda client, request: Slow(client, request, limit)]


def _limit(config: Any) -> float | None:
    options = config.options(NAME)
    if unknown := sorted(options.keys() - {"slower_than"}):
        raise inngest.ConfigError(f"{NAME}: there is no option {unknown[0]}, only slower_than")
    limit = options.get("slower_than")
    try:
        # A variable of the environment is text.
        return None if limit is None else float(limit)
    except (TypeError, ValueError):
        raise inngest.ConfigError(f"{NAME}: slower_than is a number of seconds") from None
'''

_SLOW = '''\
"""What is done about slow steps."""

from __future__ import annotations

import time
from typing import Any

import inngest_core as inngest


class Slow(inngest.MiddlewareSync):
    """Tells, in the client's log, of each step that took longer than its limit in seconds."""

    def __init__(self, client: Any, raw_request: object, limit: float) -> None:
        super().__init__(client, raw_request)
        self._limit = limit

    def wrap_step(self, step: inngest.StepInfo) -> Any:
        """Measure a step that runs; one that is remembered is not seen here."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        if took >= self._limit:
            self.client.logger.warning('the step "%s" took %.3f s', step.id, took)
'''

_TEST = '''\
"""Installed, it is found; with its option, it acts; without, it does nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import inngest_core as inngest
from inngest_contrib.testing import mocked

OPTIONS = {"$name": {"slower_than": 0}}


def run(client: mocked.Inngest) -> Any:
    """Run a function of one step."""
    create = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="test/run"))
    function = create(lambda ctx: ctx.step.run("a step", lambda: "done"))
    return mocked.trigger(function, inngest.Event(name="test/run"), client)


def test_a_slow_step_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "inngest"):
        result = run(mocked.Inngest(app_id="test", options=OPTIONS))
    assert result.output == "done"
    assert 'the step "a step" took' in caplog.text


def test_it_does_nothing_without_its_option(caplog: pytest.LogCaptureFixture) -> None:
    assert run(mocked.Inngest(app_id="test")).output == "done"
    assert "a step" not in caplog.text


@pytest.mark.parametrize("options", [{"slower_than": "soon"}, {"slower": 1}])
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(inngest.ConfigError, match="$name"):
        mocked.Inngest(app_id="test", options={"$name": options})
'''

_FILES = {
    "pyproject.toml": _PYPROJECT,
    "README.md": _README,
    "$package/__init__.py": _INIT,
    "$package/py.typed": "",
    "$package/plugin.py": _PLUGIN,
    "$package/slow.py": _SLOW,
    "tests/test_plugin.py": _TEST,
}
