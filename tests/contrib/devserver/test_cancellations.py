"""Many runs cancelled at once, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn, nap

ALWAYS = {"started_after": "2020-01-01T00:00:00.000Z", "started_before": "2099-01-01T00:00:00Z"}


@pytest.fixture
def sleepers(server: Running, app: StandIn) -> list[str]:
    """The events of three runs that sleep: of the numbers 0, 1 and 2."""

    def answer(call: Call) -> Reply:
        return Reply(206, [nap("1h")])

    app.answer = answer
    app.register(server, "many", app.function("many", "f"), app.function("many", "g"))
    events = [server.send("many/f", {"n": n}) for n in range(3)]
    for event in events:
        server.waiting(event, "SLEEP")
    return events


def cancel(server: Running, **wish: Any) -> Any:
    body = {"app_id": "many", "function_id": "f", **ALWAYS, **wish}
    return server.http.post("/v1/cancellations", json=body)


def statuses(server: Running, events: list[str]) -> list[str]:
    return [run["status"] for event in events for run in server.runs_of(event)]


def test_all_runs_of_a_function_are_cancelled(server: Running, sleepers: list[str]) -> None:
    response = cancel(server)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert len(answer.pop("id")) == 26
    assert answer.pop("environment_id")
    assert answer == {"function_id": "f", **ALWAYS}
    assert statuses(server, sleepers) == ["CANCELLED"] * 3


def test_an_expression_chooses_among_them(server: Running, sleepers: list[str]) -> None:
    response = cancel(server, **{"if": "event.data.n > 0"})
    assert response.json()["if"] == "event.data.n > 0"
    assert statuses(server, sleepers) == ["RUNNING", "CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(
    "wish",
    [
        {"function_id": "g"},
        {"started_after": "2098-01-01T00:00:00Z"},
        {"started_before": "2021-01-01T00:00:00+02:00"},
    ],
)
def test_others_go_on(server: Running, sleepers: list[str], wish: dict[str, Any]) -> None:
    assert cancel(server, **wish).status_code == 200
    assert statuses(server, sleepers) == ["RUNNING"] * 3


def test_a_beginning_is_not_needed_and_the_id_may_be_the_long_one(
    server: Running, sleepers: list[str]
) -> None:
    assert cancel(server, function_id="many-f", started_after=None).status_code == 200
    assert statuses(server, sleepers) == ["CANCELLED"] * 3


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"app_id": None}, 400, "app_id is missing"),
        ({"function_id": 7}, 400, "function_id is missing"),
        ({"started_before": None}, 400, "started_before is missing"),
        ({"started_before": "yesterday"}, 400, 'not "yesterday"'),
        ({"started_after": "2026-02-31T00:00:00Z"}, 400, "started_after must be an instant"),
        ({"started_after": "2099-01-02T00:00:00Z"}, 400, "must be before"),
        ({"if": 3}, 400, "if must be an expression"),
        ({"if": "event.data.n >"}, 400, "if cannot be used"),
        ({"function_id": "nobody"}, 404, 'has no function "nobody"'),
        ({"app_id": "nobody"}, 404, "nobody"),
    ],
)
def test_what_cannot_be_understood_cancels_nothing(
    server: Running, sleepers: list[str], wish: dict[str, Any], status: int, said: str
) -> None:
    response = cancel(server, **wish)
    assert (response.status_code, said in response.json()["error"]) == (status, True), response.text
    assert statuses(server, sleepers) == ["RUNNING"] * 3
