"""
Code that changes under a run: the run completes, each step runs once, and it is said once.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inngest_core import CommRequest, CommResponse
from inngest_core.execution import machine
from inngest_core.execution.standing import Ruling, Verdict
from tests.support import Answer, Counts, Run, endpoint, on_loop, shuffled

# A version of a function: ids one after another, tuples of what runs at the same time.
Version = list[Any]

CHANGES: dict[str, tuple[Version, Version]] = {
    "a step is removed in front": (["a", "b", "c"], ["b", "c"]),
    "a step is removed in the middle": (["a", "b", "c"], ["a", "c"]),
    "the last step is removed": (["a", "b", "c"], ["a", "b"]),
    "all steps are removed": (["a", "b"], []),
    "a step is added in front": (["a", "b"], ["x", "a", "b"]),
    "a step is added in the middle": (["a", "b"], ["a", "x", "b"]),
    "a step is added at the end": (["a", "b"], ["a", "b", "x"]),
    "a step has another name": (["a", "b", "c"], ["a", "x", "c"]),
    "steps change places": (["a", "b", "c"], ["c", "b", "a"]),
    "steps are made parallel": (["a", "b", "c"], [("a", "b"), "c"]),
    "all steps are made parallel": (["a", "b", "c"], [("c", "a", "b")]),
    "steps are made sequential": ([("a", "b"), "c"], ["a", "b", "c"]),
    "steps are made sequential the other way": ([("a", "b", "d"), "c"], ["d", "b", "a", "c"]),
    "a loop has more turns": (["r", "r", "c"], ["r", "r", "r", "c"]),
    "a loop has fewer turns": (["r", "r", "r", "c"], ["r", "c"]),
    "a loop is made parallel": (["r", "r", "r", "c"], [("r", "r", "r"), "c"]),
    "a group is made smaller": ([("a", "b", "c"), "d"], [("a", "c"), "d"]),
    "a group is made larger": ([("a", "b"), "d"], [("a", "x", "b", "y"), "d"]),
    "a chain comes before a group": ([("a", "b"), "d"], ["x", ("b", "a"), "d"]),
    "everything is new": (["a", ("b", "c")], ["x", ("y", "z")]),
}


class Program:
    """A function whose version may be changed between two calls."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.counts = Counts()

    async def handler(self, ctx: Any) -> list[str]:
        found: list[str] = []
        for part in self.version:
            if isinstance(part, tuple):
                found += await asyncio.gather(
                    *(ctx.step.run(name, self.counts.doing(name)) for name in part)
                )
            else:
                found.append(await ctx.step.run(part, self.counts.doing(part)))
        return found

    def handler_sync(self, ctx: Any) -> list[str]:
        found: list[str] = []
        for part in self.version:
            if isinstance(part, tuple):
                found += ctx.group.parallel(tuple(self._branch(ctx, name) for name in part))
            else:
                found.append(ctx.step.run(part, self.counts.doing(part)))
        return found

    def _branch(self, ctx: Any, name: str) -> Callable[[], Any]:
        return lambda: ctx.step.run(name, self.counts.doing(name))


def names(version: Version) -> list[str]:
    return [name for part in version for name in (part if isinstance(part, tuple) else (part,))]


@contextlib.contextmanager
def answering(program: Program, kind: str) -> Iterator[Answer]:
    if kind == "blocking":
        yield endpoint(program.handler_sync).answer_sync
        return
    with on_loop(endpoint(program.handler)) as answer:
        yield answer


def deploying(
    answer: Answer, program: Program, version: Version, *, calls: int, anywhere: bool
) -> Answer:
    """
    The answers of a program of which another version is deployed after some calls.

    anywhere: also between the steps of a batch, and not only where none is open.
    """
    left = iter(range(calls))

    def answer_(request: CommRequest) -> CommResponse:
        if next(left, None) is None and (anywhere or request.query["stepId"] == "step"):
            program.version = version
        return answer(request)

    return answer_


def play(change: str, kind: str, calls: int, anywhere: bool) -> tuple[Run, Program]:
    before, after = CHANGES[change]
    program = Program(before)
    with answering(program, kind) as answer:
        deployed = deploying(answer, program, after, calls=calls, anywhere=anywhere)
        run = Run(deployed, pick=shuffled(calls), overlapping=bool(calls % 2)).play()
    asked = collections.Counter(names(before)) | collections.Counter(names(after))
    assert program.counts <= asked, "a step ran more often than either version says"
    return run, program


KINDS = pytest.mark.parametrize("kind", ["blocking", "async"])
EVERY = pytest.mark.parametrize("change", CHANGES)


@KINDS
@EVERY
def test_a_run_completes_runs_each_step_once_and_warns_once_of_those_that_are_gone(
    change: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for calls in range(5):
        caplog.clear()
        run, program = play(change, kind, calls, anywhere=False)
        assert run.result == names(program.version)
        gone = program.counts.total() - len(run.result)
        warned = [record.getMessage() for record in caplog.records]
        assert len(warned) == (1 if gone else 0)
        assert all(f"without asking for {gone} of its steps" in line for line in warned)


@KINDS
@EVERY
def test_in_the_middle_of_a_batch_it_completes_or_says_which_step_it_met_instead(
    change: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_STRANDED", Verdict(Ruling.REST, seconds=0.0))
    for calls in range(1, 5):
        run, program = play(change, kind, calls, anywhere=True)
        if run.error is None:
            assert run.output == names(program.version)
        else:
            assert run.error["code"] == "step_unexpected"
