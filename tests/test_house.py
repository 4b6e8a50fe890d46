"""
What the repository says about itself is true: floors, version, packages, commands.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("inngest_core", "inngest_contrib")
TOX_ENVIRONMENTS = (
    "lint",
    "type",
    "docs",
    "py310",
    "py311",
    "py312",
    "py313",
    "min",
    "parity",
    "plugins",
    "django50",
    "django52",
    "django60",
    "django61",
)

PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<operator>[=<>!~]+)(?P<version>[^;,\s]+)")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def ini(path: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / path, encoding="utf-8")
    return parser


def requirement_lines() -> list[str]:
    setup = ini("setup.cfg")
    blocks = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    return [line for block in blocks for line in block.splitlines() if line]


def versions(lines: list[str], operator: str) -> dict[str, str]:
    found = {}
    for line in lines:
        match = REQUIREMENT.match(line)
        assert match, f"not one name with one version: {line!r}"
        assert match["operator"] == operator, f"{operator} is expected in {line!r}"
        found[normal(match["name"])] = match["version"]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def floors() -> dict[str, str]:
    lines = [line for line in read("constraints.txt").splitlines() if line and line[0] != "#"]
    return versions(lines, "==")


def plugin_requirements() -> list[str]:
    pattern = re.compile(r"^dependencies\s*=\s*\[(.*?)\]", re.DOTALL | re.MULTILINE)
    found = []
    for project in ROOT.glob("plugins/*/pyproject.toml"):
        block = pattern.search(project.read_text(encoding="utf-8"))
        found += re.findall(r'"([^"]+)"', block[1]) if block else []
    return [line for line in found if not line.startswith("inngest-core")]


def test_every_requirement_has_its_floor_in_constraints_and_the_same_one() -> None:
    wanted = versions(requirement_lines(), ">=")
    assert wanted.items() <= floors().items()


def test_every_plugin_requires_the_floor_in_constraints() -> None:
    assert versions(plugin_requirements(), ">=").items() <= floors().items()


def test_the_core_needs_seven_distributions_and_no_more() -> None:
    core = ini("setup.cfg")["options"]["install_requires"].split()
    assert {normal(REQUIREMENT.match(line)["name"]) for line in core} == {  # type: ignore[index]
        "click",
        "h11",
        "httpx",
        "jcs",
        "pluggy",
        "pydantic",
        "typing-extensions",
    }


@pytest.mark.skipif("PIP_CONSTRAINT" not in os.environ, reason="only `tox -e min` pins floors")
def test_min_runs_on_the_floors() -> None:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.version import Version

    installed = {}
    for name in floors():
        try:
            installed[name] = Version(version(name))
        except PackageNotFoundError:
            continue
    assert len(installed) > 10
    assert installed == {name: Version(floors()[name]) for name in installed}


def test_the_version_is_stated_once() -> None:
    from inngest_core.version import VERSION

    assert ini("setup.cfg")["metadata"]["version"] == "attr: inngest_core.version.VERSION"
    stated = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if f'"{VERSION}"' in path.read_text(encoding="utf-8")
    ]
    assert stated == [Path("inngest_core/version.py")]


def test_the_installed_version_is_the_stated_one() -> None:
    import importlib.metadata

    from inngest_core.version import VERSION

    assert importlib.metadata.version("inngest-core") == VERSION


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_ship_their_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in ini("setup.cfg")["options.package_data"]["*"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_modules_is_a_package(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()] == []


def test_every_entry_point_leads_to_a_module() -> None:
    points = ini("setup.cfg")["options.entry_points"]
    lines = [line for group in points.values() for line in group.splitlines() if line]
    for line in lines:
        path = ROOT / line.split("=")[1].strip().partition(":")[0].replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), line


@pytest.mark.parametrize("project", PLUGINS, ids=lambda project: project.name)
def test_every_plugin_is_a_distribution_that_is_tested_and_published_by_itself(
    project: Path,
) -> None:
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    package = project.name.replace("-", "_")
    assert f'name = "{project.name}"' in settings
    assert "session_timeout = 120" in settings
    for name in ("README.md", "CHANGELOG.md", f"{package}/py.typed", f"{package}/version.py"):
        assert (project / name).is_file(), name
    assert (project / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for kind in ("mypy", "pytest"):
        wanted = rf"^ +{kind} .*-(?:config-file|c) plugins/{project.name}/pyproject\.toml"
        assert re.search(wanted, read("tox.ini"), re.MULTILINE), kind
    assert f'"{project.name}-v*"' in read(".github/workflows/publish-plugin.yml")


def test_every_extra_named_in_the_readme_exists() -> None:
    extras = set(ini("setup.cfg")["options.extras_require"])
    named = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", read("README.md"), re.MULTILINE)
    assert named
    assert {extra for cell in named for extra in re.findall(r"`(\w+)`", cell)} <= extras


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_two_commands(command: str) -> None:
    assert re.search(rf"^{command}$", read("README.md"), re.MULTILINE)


@pytest.mark.parametrize(
    "path", ["README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml"]
)
def test_every_make_command_named_is_in_the_makefile(path: str) -> None:
    text = re.sub(r"^\s*#.*", "", read(path), flags=re.MULTILINE)
    named = set(re.findall(r"(?:^|`|run: )make ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def test_every_link_in_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", read("README.md") + read("CONTRIBUTING.md"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make test\b", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert subprocess.run(["bash", "-n", script]).returncode == 0


def test_ci_fails_when_the_tests_fail(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    copy = tmp_path / ".ci" / "run"
    copy.write_text(read(".ci/run"), encoding="utf-8")
    (tmp_path / "Makefile").write_text("test:\n\t@echo 1 failed; exit 1\n", encoding="utf-8")
    done = subprocess.run(["bash", copy], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode != 0
    assert "1 failed" in done.stdout


def test_the_default_tox_environments_are_those_of_the_workflow() -> None:
    tox = ini("tox.ini")["tox"]
    names = re.sub(
        r"([a-z]+)\{([\d,]+)\}",
        lambda m: " ".join(m[1] + version for version in m[2].split(",")),
        tox["env_list"],
    )
    assert tuple(names.split()) == TOX_ENVIRONMENTS
    workflow = re.findall(r"\{ env: (\w+),", read(".github/workflows/ci.yml"))
    assert tuple(workflow) == TOX_ENVIRONMENTS


def test_a_missing_interpreter_is_skipped() -> None:
    assert ini("tox.ini")["tox"]["skip_missing_interpreters"] == "true"


def test_the_pythons_tested_are_the_pythons_promised() -> None:
    metadata = ini("setup.cfg")["metadata"]["classifiers"]
    promised = re.findall(r"Python :: (3)\.(\d+)", metadata)
    assert tuple(f"py{major}{minor}" for major, minor in promised) == TOX_ENVIRONMENTS[3:7]
    assert read(".python-version").strip() == "3.10"


def test_the_license_is_the_one_in_the_metadata() -> None:
    assert ini("setup.cfg")["metadata"]["license"] == "Apache-2.0"
    assert "Apache License" in read("LICENSE")[:200]


def test_every_page_of_the_documentation_is_in_the_menu() -> None:
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages == set(re.findall(r": ([\w/-]+\.md)$", read("mkdocs.yml"), re.MULTILINE))


def test_every_file_of_ours_opens_with_what_it_is_for() -> None:
    silent = []
    for folder in (*PACKAGES, "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if (
                text.strip()
                and not path.name.endswith("_pb2.py")
                and not text.startswith(('"""', 'r"""', "#!"))
            ):
                silent.append(str(path.relative_to(ROOT)))
    assert silent == []


PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_ours_in_the_documentation_exists(page: str) -> None:
    import ast

    import inngest_core

    for block in re.findall(r"^```python\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL):
        ast.parse(block, feature_version=(3, 10))
        for name in re.findall(r"\binngest\.(\w+)", block):
            assert hasattr(inngest_core, name), f"inngest_core.{name}"


def test_lines_are_counted_in_one_environment() -> None:
    assert "{env:COVER_{env_name}:}" in ini("tox.ini")["testenv"]["commands"]
    assert "COVER_$$name" in read("Makefile")
    assert "COVER_py313" in read(".github/workflows/ci.yml")


def test_every_option_of_the_server_is_documented_and_no_other() -> None:
    from inngest_contrib.devserver.command import dev

    options = {name for option in dev.params for name in option.opts if name.startswith("--")}
    page = read("docs/embedded-server.md")
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `-"))
    assert set(re.findall(r"--[a-z-]+", table)) == options
