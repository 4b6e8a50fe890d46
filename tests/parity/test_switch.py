"""
A run that one package began is finished by the other: same app, same address, in the middle.

Where the official package is not installed, what it was once asked and answered is in a sample
that `python -m tests.parity.record` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contrib.devserver.live import Running, running
from tests.flow.test_official import op

from .kits import OFFICIAL, OFFICIAL_IS_HERE, OURS, Kit
from .scenario import COLOURS
from .stage import App, Theatre, playing, sync, theatre
from .tap import Exchange, tapping

SAMPLE = Path(__file__).parents[1] / "samples" / "parity" / "begun.json"
STORIES = {
    "a_failed_step_is_caught": 4,
    "a_failed_step_that_nobody_catches": 3,
    "a_function_is_invoked_by_object": 3,
    "a_group_of_chains": 7,
    "a_group_of_four_and_one_after_it": 6,
    "a_group_of_sleeps_and_waits": 2,
    "a_race_of_chains": 5,
    "a_repeated_id_is_another_step": 4,
    "a_step_is_retried": 4,
    "a_wait_ends_with_the_event_that_matches": 2,
    "an_invoked_function_fails": 2,
    "each_step_runs_once": 4,
    "one_of_a_group_fails_for_good": 5,
    "sleeps": 4,
}
"""How many calls a run of it takes, or at least takes."""
CUTS = [(name, cut) for name, calls in STORIES.items() for cut in range(1, calls)]
WAYS = [(OFFICIAL, OURS), (OURS, OFFICIAL)]
IMAGE_OF_A_CALL = {"ops", "calls", "first", "named"}
"""Facts that depend on who answered which call."""


class Pair:
    """The same app of both packages at one address."""

    def __init__(self, theatres: dict[str, Theatre], origins: dict[str, str]) -> None:
        self._theatres, self._origins = theatres, origins

    def play(self, name: str, first: Kit, second: Kit, *, cut: int) -> tuple[Any, Any, list[str]]:
        """Play a scenario whose runs change hands; give facts, expectation and who answered."""
        tap = self._theatres["ours"].app.tap
        seen: dict[str | None, list[str]] = {}

        def route(exchange: Exchange) -> str:
            calls = seen.setdefault(exchange.run_id, [])
            kit = first if len(calls) < cut else second
            calls.append(kit.name)
            return self._origins[kit.name]

        tap.route = route
        stage, expected = self._theatres["ours"].stages[name]
        facts = stage.played(expected)
        return facts, expected.facts, max(seen.values(), key=len)


@contextmanager
def paired(server: Running, colour: str) -> Iterator[Pair]:
    """Serve both packages behind one tap."""
    apps = {kit.name: App(kit, f"pair-{colour}", server) for kit in (OURS, OFFICIAL)}
    apps["official"].logs = apps["ours"].logs
    with (
        playing(apps["ours"], "fastapi", colour) as (our_origin, ours),
        playing(apps["official"], "fastapi", colour) as (official_origin, official),
        tapping() as tap,
    ):
        apps["ours"].tap = apps["official"].tap = tap
        for origin in (official_origin, our_origin):
            tap.lead_to(origin)
            sync(apps["ours"])
        yield Pair(
            {"ours": ours, "official": official},
            {"ours": our_origin, "official": official_origin},
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(poll=False) as found:
        yield found


IN_PAIRS = [
    pytest.param(colour, marks=pytest.mark.xdist_group(f"pair-{colour}")) for colour in COLOURS
]


@pytest.fixture(scope="module", params=IN_PAIRS)
def pair(request: pytest.FixtureRequest, server: Running) -> Iterator[Pair]:
    with paired(server, request.param) as found:
        yield found


@pytest.mark.skipif(not OFFICIAL_IS_HERE, reason="the official package is not installed here")
@pytest.mark.parametrize(("first", "second"), WAYS, ids=["official-ours", "ours-official"])
@pytest.mark.parametrize(("name", "cut"), CUTS)
def test_a_run_changes_hands(pair: Pair, name: str, cut: int, first: Kit, second: Kit) -> None:
    facts, expected, answered = pair.play(name, first, second, cut=cut)
    assert {first.name, second.name} == set(answered)
    for fact in expected.keys() - IMAGE_OF_A_CALL:
        assert facts[fact] == expected[fact]


BEGUN: dict[str, Any] = json.loads(SAMPLE.read_text()) if SAMPLE.exists() else {}


@pytest.mark.parametrize(
    ("colour", "name", "number"),
    [
        (colour, name, number)
        for colour, stories in BEGUN.items()
        for name, calls in stories.items()
        for number in range(len(calls))
    ],
)
def test_a_recorded_call_is_answered_as_the_official_package_answered(
    ours: dict[str, Theatre], colour: str, name: str, number: int
) -> None:
    call = BEGUN[colour][name][number]
    url = f"{ours[colour].app.tap.url}/api/inngest"
    response = httpx.post(url, params=call["query"], json=call["body"], trust_env=False)
    assert response.status_code == call["status"], response.text
    assert answer(response.json()) == answer(call["reply"])


@pytest.fixture(scope="module")
def ours(server: Running) -> Iterator[dict[str, Theatre]]:
    with (
        theatre(OURS, "fastapi", "async", server=server, app_id="begun-async") as awaiting,
        theatre(OURS, "fastapi", "sync", server=server, app_id="begun-sync") as blocking,
    ):
        yield {"async": awaiting, "sync": blocking}


def answer(reply: Any) -> Any:
    """What the server acts on: ops, or an output or error without its stack."""
    if isinstance(reply, list) and reply and isinstance(reply[0], dict) and "op" in reply[0]:
        return sorted((_op(one) for one in reply), key=lambda one: str(one["id"]))
    if isinstance(reply, dict):
        return {key: value for key, value in reply.items() if key != "stack"}
    return reply


def _op(reported: dict[str, Any]) -> dict[str, Any]:
    found = op(reported)
    payload = found.get("opts", {}).get("payload")
    if payload == {}:
        payload["data"] = {}  # The server fills it in.
    return found
