"""How a run is conducted, told by the requests that a scripted function gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_contrib.testing import runs
from inngest_core import CommRequest, CommResponse


def reply(status: int, body: Any, **headers: str) -> CommResponse:
    return CommResponse(status, headers, json.dumps(body).encode())


def op(name: str, kind: str = "StepPlanned", **more: Any) -> dict[str, Any]:
    return {"id": name, "op": kind, "displayName": name, "opts": None, **more}


class Function:
    """Answers with replies in order, the last for ever, and keeps what it was asked."""

    def __init__(self, *replies: CommResponse) -> None:
        self._replies = replies
        self.asked: list[tuple[str, int, list[str]]] = []

    def answer(self, request: CommRequest) -> CommResponse:
        ctx = json.loads(request.body)["ctx"]
        assert ctx["disable_immediate_execution"]
        self.defers = json.loads(request.body)["defers"]
        self.asked.append((request.query["stepId"], ctx["attempt"], ctx["stack"]["stack"]))
        return self._replies[min(len(self.asked), len(self._replies)) - 1]

    def run(self, **options: Any) -> runs.Run:
        given = {"settle": lambda op: None, "max_attempts": 3, "run_id": "r", "fn_id": "f"}
        return runs.Run(answer=self.answer, events=[{"name": "a"}], **{**given, **options})


RAN = [reply(206, [op(name, "StepRun", data=1)]) for name in "abc"]
DONE = reply(200, "done")


def test_a_planned_step_has_a_call_of_its_own() -> None:
    function = Function(reply(206, [op("a")]), RAN[0], DONE)
    ended = function.run().conduct()
    assert (ended.document, ended.failed) == ("done", False)
    assert function.asked == [("step", 0, []), ("a", 0, []), ("step", 0, ["a"])]


def test_a_group_is_asked_again_once_all_have_ended() -> None:
    function = Function(reply(206, [op("a"), op("b"), op("c")]), *RAN, DONE)
    function.run().conduct()
    assert [target for target, _, _ in function.asked] == ["step", "a", "b", "c", "step"]


def test_a_race_is_asked_again_after_each() -> None:
    race: dict[str, Any] = {"opts": {"parallelMode": "race"}}
    planned = reply(206, [op("a", **race), op("b", **race)])
    function = Function(planned, RAN[0], RAN[1], planned, DONE)
    function.run().conduct()
    assert [target for target, _, _ in function.asked] == ["step", "a", "b", "step", "step"]


def test_what_is_settled_at_once_has_no_call() -> None:
    function = Function(reply(206, [op("a", "Sleep")]), DONE)
    function.run(settle=lambda op: runs.Memo(None)).conduct()
    assert function.asked[1] == ("step", 0, ["a"])


def test_a_step_that_fails_is_called_until_its_attempts_are_used_up() -> None:
    failed = reply(206, [op("a", "StepError", error={"name": "E"})])
    function = Function(reply(206, [op("a")]), failed, failed, failed, DONE)
    function.run().conduct()
    assert [call[:2] for call in function.asked[1:]] == [("a", 0), ("a", 1), ("a", 2), ("step", 0)]


def test_a_function_that_fails_for_good_is_not_called_again() -> None:
    final = reply(500, {"message": "m"}, **{"x-inngest-no-retry": "true"})
    function = Function(final)
    assert function.run().conduct().failed
    assert len(function.asked) == 1


def test_what_is_deferred_is_told_in_the_next_call_and_is_no_step() -> None:
    add = op("d", "DeferAdd", opts={"fn_slug": "g"})
    abort = op("x", "DeferAbort", opts={"target_hashed_id": "d"})
    complete = op("y", "RunComplete", data="done")
    function = Function(reply(206, [add]), reply(206, [abort, op("a")]), RAN[0], DONE)
    function.run().conduct()
    assert [call[0] for call in function.asked] == ["step", "step", "a", "step"]
    assert function.defers == {"d": {"abortable": False}}
    ended = Function(reply(206, [add, complete])).run().conduct()
    assert (ended.document, ended.failed) == ("done", False)


@pytest.mark.parametrize(
    ("replies", "text"),
    [
        ([reply(206, [])], "f has not ended after 5 calls"),
        ([reply(206, [op("a")])], 'f waits for a step .* its last step was "a"'),
    ],
)
def test_a_run_that_stands_still_is_told_apart(
    replies: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_CALLS", 5)
    with pytest.raises(runs.EndlessRunError, match=text):
        Function(*replies).run().conduct()


def test_a_run_of_endless_calls_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_CALLS", 5)
    function = Function(reply(500, {}))
    with pytest.raises(runs.EndlessRunError, match="after 5 calls"):
        function.run(max_attempts=100).conduct()
