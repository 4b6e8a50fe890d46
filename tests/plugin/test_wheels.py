"""
Plugins as strangers ship them: built into wheels, and installed beside ours in a fresh environment.

One environment serves all tests: building it is what takes the time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples" / "plugins"
NAMES = ("transport", "serializer", "cipher", "middleware", "framework", "command", "broken")
SOURCES = ("inngest_core", "inngest_contrib", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
PATIENCE = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]


@dataclass(frozen=True)
class Environment:
    """A fresh environment with everything installed, and a directory to work in."""

    bin: Path
    work: Path

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with nothing of ours from outside."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("INNGEST_", "PYTHON"))}
        return subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            capture_output=True,
            cwd=self.work,
            env={**kept, **variables},
            text=True,
            timeout=PATIENCE,
        )

    def done(self, *words: str, **variables: str) -> str:
        """As ``run``, for what must succeed; gives its output."""
        ended = self.run(*words, **variables)
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Wheels of ours and of the samples, in an environment that had nothing before."""
    home = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    place = Environment(home / "venv" / "bin", home / "work")
    place.work.mkdir()
    place.done("pip", "install", "-q", "--no-compile", "setuptools", "wheel")
    sources = [copied(home / "source"), *(copied_sample(name, home) for name in NAMES)]
    wheels = home / "wheels"
    for_all = ("-q", "--no-build-isolation", "--no-deps", "-w", str(wheels))
    place.done("pip", "wheel", *for_all, *map(str, sources))
    built = sorted(map(str, wheels.glob("*.whl")))
    assert len(built) == len(sources)
    ours = next(wheel for wheel in built if "inngest_core-" in wheel)
    samples = [wheel for wheel in built if wheel != ours]
    # What is not compiled here is compiled where it is imported, and most of it never is.
    place.done("pip", "install", "-q", "--no-compile", f"{ours}[dev]", *samples, "pytest")
    return place


def copied(target: Path) -> Path:
    """A copy of our sources: building must not write into them."""
    target.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


def copied_sample(name: str, home: Path) -> Path:
    return shutil.copytree(SAMPLES / name, home / "samples" / name)


OPTIONS = {
    "acme-serializer": {"on": True},
    "acme-cipher": {"on": True},
    "acme-middleware": {"mark": "seen"},
}


def probe(place: Environment, **variables: str) -> Any:
    """What the app of probe.py saw of each plugin."""
    log = place.work / "requests.log"
    log.unlink(missing_ok=True)
    options = json.dumps({**OPTIONS, "acme-transport": {"log": str(log)}})
    script = str(SAMPLES / "probe.py")
    return json.loads(place.done("python", script, INNGEST_OPTIONS=options, **variables))


ALL = {
    "middleware": "seen",
    "serializer": 250,
    "shown": False,
    "framework": "acme",
    "status": "COMPLETED",
    "secret": "only-for-our-eyes",
}


def test_each_installed_plugin_takes_effect(fresh: Environment) -> None:
    seen = probe(fresh)
    assert [line.split()[0] for line in seen.pop("transport")] == ["POST"]
    assert seen == ALL


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("acme-transport", {"transport": []}),
        ("acme-cipher", {"shown": True}),
        ("acme-middleware", {"middleware": None}),
        ("acme-serializer", {"serializer": None, "status": "FAILED"}),
    ],
)
def test_each_can_be_switched_off_and_the_others_go_on(
    fresh: Environment, name: str, changed: dict[str, Any]
) -> None:
    seen = probe(fresh, INNGEST_DISABLE_PLUGINS=name)
    seen["transport"] = seen["transport"] and ["POST"]
    expected = {**ALL, "transport": ["POST"], **changed}
    if "serializer" in changed:
        # The step that returns a price is where the function fails.
        del expected["serializer"]
    assert seen == expected


def test_only_those_that_are_allowed_take_effect(fresh: Environment) -> None:
    seen = probe(fresh, INNGEST_LOAD_PLUGINS="acme-serializer")
    assert (seen["transport"], seen["shown"], seen["middleware"]) == ([], True, None)
    assert seen["serializer"] == 250


APP = "import inngest_core; client = inngest_core.Inngest(app_id='shop', is_production=False)"


def test_a_command_is_there_and_can_be_switched_off(fresh: Environment) -> None:
    (fresh.work / "shop.py").write_text(APP)
    assert fresh.done("inngest-core", "greet", "--app", "shop:client") == "hello, shop\n"
    off = fresh.run("inngest-core", "greet", INNGEST_DISABLE_PLUGINS="acme-command")
    assert off.returncode == 2
    assert "No such command 'greet'" in off.stderr


def test_an_adapter_is_loaded_by_its_name_and_by_nothing_else(fresh: Environment) -> None:
    code = (
        "import sys, inngest_core as i; c = i.Inngest(app_id='shop', is_production=False); "
        "assert 'acme' in i.frameworks() and 'acme_framework' not in sys.modules; "
        "i.framework('acme').serve(c); assert 'acme_framework' in sys.modules; "
        "assert not {'flask', 'fastapi', 'django', 'tornado'} & set(sys.modules)"
    )
    fresh.done("python", "-c", code)


def test_a_broken_one_is_reported_and_does_no_harm(fresh: Environment) -> None:
    code = "import inngest_core as i; print(i.Inngest(app_id='shop', is_production=False))"
    ended = fresh.run("python", "-c", code)
    assert (ended.returncode, ended.stdout) == (0, "<Inngest shop (dev)>\n")
    for part in ('"acme-broken"', "acme-broken 1.2", "a_module_that_is_nowhere", "DISABLE_PLUGINS"):
        assert part in ended.stderr
    quiet = fresh.run("python", "-c", code, INNGEST_DISABLE_PLUGINS="acme-broken")
    assert (quiet.returncode, quiet.stderr) == (0, "")


@pytest.mark.parametrize(
    "variables",
    [
        {"INNGEST_STRICT_PLUGINS": "1"},
        {"INNGEST_LOAD_PLUGINS": "acme-broken"},
        {"INNGEST_OPTIONS__ACME_BROKEN__ANY": "1"},
    ],
)
def test_a_broken_one_that_was_asked_for_stops_the_client(
    fresh: Environment, variables: dict[str, str]
) -> None:
    code = "import inngest_core as i; i.Inngest(app_id='shop', is_production=False)"
    ended = fresh.run("python", "-c", code, **variables)
    assert ended.returncode == 1
    assert "ConfigError" in ended.stderr.splitlines()[-1]
    assert "a_module_that_is_nowhere" in ended.stderr.splitlines()[-1]


def test_the_list_of_plugins_tells_what_became_of_each(fresh: Environment) -> None:
    told = fresh.done("inngest-core", "plugins", "--json", INNGEST_DISABLE_PLUGINS="acme-cipher")
    rows = {row["name"]: row for row in json.loads(told)}
    assert {name: row["status"] for name, row in rows.items() if name.startswith("acme")} == {
        "acme": "loaded where it is served",
        "acme-broken": "broken: No module named 'a_module_that_is_nowhere'",
        "acme-cipher": "left out by INNGEST_DISABLE_PLUGINS",
        "acme-command": "loaded",
        "acme-middleware": "loaded",
        "acme-serializer": "loaded",
        "acme-transport": "loaded",
    }
    assert rows["acme-transport"]["version"] == "1.2"
    assert rows["acme-transport"]["hooks"] == ["transport"]


def test_a_trace_shows_who_answered(fresh: Environment) -> None:
    code = "import inngest_core as i; i.Inngest(app_id='shop', is_production=False)"
    options = json.dumps(OPTIONS)
    ended = fresh.run("python", "-c", code, INNGEST_TRACE_PLUGINS="1", INNGEST_OPTIONS=options)
    for line in (
        "acme-middleware, of acme-middleware 1.2: loaded",
        "inngest_serializer: acme-serializer -> PriceSerializer",
        "inngest_cipher: acme-cipher -> Base64",
        "inngest_middleware: acme-middleware -> [Marking]",
    ):
        assert f"inngest plugins: {line}" in ended.stderr.splitlines()


def test_a_new_plugin_installs_is_found_and_passes_its_own_tests(fresh: Environment) -> None:
    fresh.done("inngest-core", "new-plugin", "my-audit")
    root = str(fresh.work / "inngest-my-audit")
    fresh.done("pip", "install", "-q", "--no-build-isolation", "--no-deps", root)
    try:
        told = fresh.done("python", "-m", "pytest", "-q", root)
        assert "4 passed" in told
        rows = json.loads(fresh.done("inngest-core", "plugins", "--json"))
        assert "my-audit" in [row["name"] for row in rows if row["status"] == "loaded"]
    finally:
        fresh.done("pip", "uninstall", "-q", "-y", "inngest-my-audit")
