"""
The same program with each package, over real HTTP: the same outcome.

Ours is played wherever tests run; the official package too where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contrib.devserver.live import Running, running

from .adapters import ADAPTERS
from .differences import DIFFERENCES, PAGE, expected_of
from .kits import KITS, OFFICIAL_IS_HERE, OURS, Kit
from .scenario import COLOURS, load
from .stage import Theatre, theatre


class Theatres:
    """The apps that this process serves, opened as they are asked for."""

    def __init__(self, server: Running, closing: ExitStack) -> None:
        self._server, self._closing = server, closing
        self._open: dict[tuple[str, str, str], Theatre] = {}

    def of(self, kit: Kit, adapter: str, colour: str) -> Theatre:
        key = (kit.name, adapter, colour)
        if key not in self._open:
            opening = theatre(kit, adapter, colour, server=self._server)
            self._open[key] = self._closing.enter_context(opening)
        return self._open[key]


@pytest.fixture(scope="module")
def theatres() -> Iterator[Theatres]:
    with running(poll=False) as server, ExitStack() as closing:
        yield Theatres(server, closing)


# What each adapter does in each colour has tests of its own, so each colour is played on every
# adapter only where the packages are compared.
HOMES = {"async": "fastapi", "sync": "flask"}
# What these do otherwise than those above them shows in a few: steps, groups, errors, retries,
# events, invoked functions, values, hooks.
SAMPLED = ("tornado", "digitalocean")
SAMPLE = {
    "a_failed_step_is_caught",
    "a_function_is_invoked_by_object",
    "a_group_of_four_and_one_after_it",
    "a_step_is_retried",
    "an_explicit_cause_is_told",
    "each_step_runs_once",
    "hooks_of_an_error",
    "plain_gather",
}
PLACES = [
    pytest.param(
        kit,
        adapter,
        colour,
        name,
        id=f"{name}-{kit.name}-{adapter}-{colour}",
        # Workers need not all open every theatre.
        marks=pytest.mark.xdist_group(f"{kit.name}-{adapter}-{colour}"),
    )
    for colour in COLOURS
    for name in load(colour)
    for kit in KITS
    for adapter in ADAPTERS
    if kit.can(adapter, colour) and (OFFICIAL_IS_HERE or adapter == HOMES[colour])
    if adapter not in SAMPLED or name in SAMPLE
]


@pytest.mark.parametrize(("kit", "adapter", "colour", "name"), PLACES)
def test_a_scenario_comes_out_as_it_should(
    theatres: Theatres, kit: Kit, adapter: str, colour: str, name: str
) -> None:
    stage, expected = theatres.of(kit, adapter, colour).stages[name]
    facts = expected_of(kit, name, expected.facts)
    wanted = expected_of(kit, f"{name} on {adapter} {colour}", facts)
    found = stage.played(expected)
    # The official package is the measure, not what is tested: one slip of it is no finding.
    if found != wanted and kit is not OURS:
        found = stage.played(expected)
    assert found == wanted


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_told_to_those_who_change(name: str) -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert DIFFERENCES[name].told in page
