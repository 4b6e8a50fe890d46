"""
What becomes of each step, decided without a loop, a clock or a thread.
"""

from __future__ import annotations

import collections
import contextlib
from typing import Any

import pytest

from inngest_core.errors import NestedStepError, StepUnexpectedError
from inngest_core.execution import machine as rules
from inngest_core.execution.machine import Machine
from inngest_core.execution.standing import MISSING, Reached, Ruling, Standing
from inngest_core.wire.call import CallRequest
from inngest_core.wire.ids import hash_step
from inngest_core.wire.names import Opcode
from tests.support import data


class CountingMemos(dict[str, Any]):
    """Memos that count how they are used."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.uses: collections.Counter[str] = collections.Counter()

    def __contains__(self, key: object) -> bool:
        self.uses["in"] += 1
        return super().__contains__(key)

    def get(self, *args: Any) -> Any:
        self.uses["get"] += 1
        return super().get(*args)

    def pop(self, *args: Any) -> Any:
        self.uses["pop"] += 1
        return super().pop(*args)

    def __iter__(self) -> Any:
        self.uses["iter"] += 1
        return super().__iter__()

    def copy(self) -> Any:
        self.uses["copy"] += 1
        return super().copy()


def request(
    steps: list[str] | None = None,
    *,
    stack: list[str] | None = None,
    memos: dict[str, Any] | None = None,
    target: str | None = None,
    plan_only: bool = False,
) -> CallRequest:
    steps = steps or []
    found = {hash_step(raw): data(raw) for raw in steps} if memos is None else memos
    return CallRequest(
        function_id="app-fn",
        target=hash_step(target) if target else None,
        run_id="run",
        attempt=0,
        max_attempts=5,
        plan_only=plan_only,
        use_api=False,
        stack=[hash_step(raw) for raw in (steps if stack is None else stack)],
        steps=found,
        defers={},
        event={},
        events=[],
        request_id=None,
        job_id=None,
        generation_id=None,
        internal_fn_id=None,
        qi_id=None,
    )


def reach(
    machine: Machine,
    step_id: str,
    *,
    own: bool = True,
    race: bool = False,
    code: Opcode = Opcode.STEP_RUN,
) -> Reached:
    step = machine.reach(step_id, code, name=step_id, opts=None, race=race, own=own)
    step.waiter = object()
    return step


def stand(machine: Machine, step_id: str, **kwargs: Any) -> Standing:
    return machine.stand(reach(machine, step_id, **kwargs))


def released(machine: Machine) -> list[list[str]]:
    """The ids of the parked steps in the batches in which they are released."""
    found = []
    while (verdict := machine.settle(rules.RELEASE_TURNS)).ruling is Ruling.RELEASE:
        found.append([step.step_id for step in verdict.released])
    return found


def flat(batches: list[list[str]]) -> list[str]:
    return [step_id for batch in batches for step_id in batch]


def planned(machine: Machine) -> list[tuple[str, str]]:
    return [(op.code.value, op.step_id) for op in machine.ops]


# ---- replay


@pytest.mark.parametrize("linear", [True, False])
def test_a_memo_costs_one_lookup_and_no_copy_however_many_there_are(linear: bool) -> None:
    ids = [f"s{n}" for n in range(500)]
    memos = CountingMemos({hash_step(raw): data(raw) for raw in ids})
    machine = Machine(request(ids, memos=memos), linear=linear)
    memos.uses.clear()
    recall = machine.recall if linear else machine.recall_next
    assert [recall(raw) for raw in ids[:-1]] == [data(raw) for raw in ids[:-1]]
    assert memos.uses == {"get": 499}


def test_repeated_ids_are_replayed_in_linear_time_as_well() -> None:
    raws = ["r", *(f"r:{n}" for n in range(1, 300))]
    memos = CountingMemos({hash_step(raw): data(raw) for raw in raws})
    machine = Machine(request(raws, memos=memos), linear=True)
    memos.uses.clear()
    assert [machine.recall("r") for _ in raws[:-1]] == [data(raw) for raw in raws[:-1]]
    assert memos.uses == {"get": 299}


def test_parked_steps_are_never_scanned() -> None:
    ids = [f"s{n}" for n in range(400)]
    memos = CountingMemos({hash_step(raw): data(raw) for raw in ids})
    machine = Machine(request(ids, memos=memos), linear=False)
    for raw in reversed(ids):
        stand(machine, raw, own=False)
    memos.uses.clear()
    assert flat(released(machine)) == ids
    assert memos.uses["pop"] == 400
    assert memos.uses["in"] == memos.uses["iter"] == 0


@pytest.mark.parametrize("linear", [True, False])
def test_the_last_memo_is_left_to_the_flow(linear: bool) -> None:
    machine = Machine(request(["a", "b"]), linear=linear)
    recall = machine.recall if linear else machine.recall_next
    assert recall("a") == data("a")
    assert recall("b") is MISSING
    assert stand(machine, "b") is Standing.MEMO


def test_a_repeated_id_skips_the_numbers_that_the_user_wrote_out() -> None:
    machine = Machine(request(), linear=False)
    reached = [reach(machine, raw) for raw in ("a:1", "a", "a", "a")]
    assert [step.id for step in reached] == [hash_step(raw) for raw in ("a:1", "a", "a:2", "a:3")]
    assert [step.index for step in reached] == [None, None, 2, 3]


# ---- order


def test_a_blocking_function_gets_its_memos_in_code_order() -> None:
    machine = Machine(request(["a", "b", "c"], stack=["c", "b", "a"]), linear=True)
    assert [machine.recall(raw) for raw in ("a", "b")] == [data("a"), data("b")]


def test_an_async_function_gets_a_memo_at_once_only_where_it_is_next_in_the_stack() -> None:
    machine = Machine(request(["a", "b", "c"], stack=["b", "a", "c"]), linear=False)
    assert machine.recall_next("a") is MISSING
    assert stand(machine, "a") is Standing.WAIT
    assert machine.recall_next("b") is MISSING, "something is parked"
    assert stand(machine, "b") is Standing.WAIT
    assert released(machine) == [["b"], ["a"]]
    assert stand(machine, "c") is Standing.MEMO


def test_in_a_task_of_its_own_even_the_next_memo_waits() -> None:
    machine = Machine(request(["a"]), linear=False)
    assert stand(machine, "a", own=False) is Standing.WAIT
    assert released(machine) == [["a"]]


def test_between_two_releases_lie_quiet_turns() -> None:
    machine = Machine(request(["a", "b"]), linear=False)
    stand(machine, "b", own=False)
    for turns in range(rules.RELEASE_TURNS):
        assert machine.settle(turns).ruling is Ruling.TURN
    assert machine.settle(rules.RELEASE_TURNS).ruling is Ruling.RELEASE


def test_a_memo_that_is_not_in_the_stack_comes_last() -> None:
    machine = Machine(request(["a", "b", "c"], stack=["b"]), linear=False)
    for raw in ("a", "b", "c"):
        stand(machine, raw, own=False)
    assert released(machine) == [["b"], ["a"], ["c"]]


def test_a_memo_whose_predecessor_nobody_asks_for_is_released_once_the_loop_is_quiet() -> None:
    machine = Machine(request(["gone", "a"]), linear=False)
    assert stand(machine, "a") is Standing.WAIT
    assert released(machine) == [["a"]]
    assert machine.unasked == 1


def test_a_long_row_is_released_singly_at_first_and_then_in_doubling_batches() -> None:
    ids = [f"s{n}" for n in range(30)]
    machine = Machine(request(ids), linear=False)
    for raw in ids:
        stand(machine, raw, own=False)
    assert list(map(len, released(machine))) == [1] * 8 + [2, 4, 8, 7, 1]


def test_in_a_race_every_step_is_released_singly() -> None:
    ids = [f"s{n}" for n in range(20)]
    machine = Machine(request(ids), linear=False)
    for raw in ids:
        stand(machine, raw, own=False, race=True)
    assert released(machine) == [[raw] for raw in ids]


def test_the_row_after_a_long_one_is_released_singly_again() -> None:
    ids = [f"s{n}" for n in range(12)]
    machine = Machine(request([*ids, "x", "y", "z"]), linear=False)
    for raw in ids:
        stand(machine, raw, own=False)
    released(machine)
    for raw in ("z", "y", "x"):
        stand(machine, raw, own=False)
    assert released(machine) == [["x"], ["y"], ["z"]]


def test_a_batch_ends_before_a_memo_that_has_not_been_asked_for() -> None:
    ids = [f"s{n}" for n in range(8)]
    stack = [*ids, "a1", "a2", "b"]
    machine = Machine(request(stack), linear=False)
    for raw in (*ids, "a1", "b"):
        stand(machine, raw, own=False)
    found = [machine.settle(rules.RELEASE_TURNS).released for _ in range(9)]
    assert [step.step_id for step in found[-1]] == ["a1"], "it may lead to a2, before b"
    stand(machine, "a2", own=False)
    assert flat(released(machine)) == ["a2", "b"]


def test_a_step_that_is_withdrawn_while_it_waits_is_not_released() -> None:
    machine = Machine(request(["a", "b"]), linear=False)
    first, second = reach(machine, "a", own=False), reach(machine, "b", own=False)
    machine.stand(first)
    machine.stand(second)
    machine.withdraw(first)
    assert machine.settle(rules.RELEASE_TURNS).released in [(), (second,)]
    assert released(machine) in [[], [["b"]]]
    assert machine.unasked == 1


# ---- plan or run


@pytest.mark.parametrize("linear", [True, False])
def test_one_new_step_alone_is_run_now(linear: bool) -> None:
    machine = Machine(request(), linear=linear)
    standing = stand(machine, "a")
    if not linear:
        assert standing is Standing.WAIT
        verdict = machine.settle(rules.ALONE_TURNS)
        assert [step.step_id for step in verdict.released] == ["a"]
        standing = verdict.standing
    assert standing is Standing.RUN
    assert not machine.decided


def test_a_step_outside_the_handlers_own_task_waits_longer_for_company() -> None:
    machine = Machine(request(), linear=False)
    stand(machine, "a", own=False)
    assert machine.settle(rules.SETTLE_TURNS - 1).ruling is Ruling.TURN
    assert machine.settle(rules.SETTLE_TURNS).standing is Standing.RUN


def test_several_new_steps_are_planned_in_one_reply() -> None:
    machine = Machine(request(), linear=False)
    stand(machine, "a", own=False)
    stand(machine, "nap", own=False, code=Opcode.SLEEP)
    assert machine.settle(rules.SETTLE_TURNS).ruling is Ruling.REPLY
    assert planned(machine) == [("StepPlanned", "a"), ("Sleep", "nap")]


@pytest.mark.parametrize("linear", [True, False])
def test_in_plan_mode_even_one_alone_is_planned(linear: bool) -> None:
    machine = Machine(request(plan_only=True), linear=linear)
    assert stand(machine, "a") is Standing.WAIT
    machine.settle(rules.SETTLE_TURNS)
    assert planned(machine) == [("StepPlanned", "a")]


@pytest.mark.parametrize("linear", [True, False])
def test_a_step_in_a_race_is_planned_even_alone_and_says_so(linear: bool) -> None:
    machine = Machine(request(), linear=linear)
    assert stand(machine, "a", race=True) is Standing.WAIT
    machine.settle(rules.SETTLE_TURNS)
    assert planned(machine) == [("StepPlanned", "a")]
    assert machine.ops[0].opts == {"parallelMode": "race"}


def test_a_step_beside_a_race_is_planned_since_another_call_may_be_running_it() -> None:
    for order in (("r", "x"), ("x", "r")):
        machine = Machine(request(["r"]), linear=False)
        for raw in order:
            stand(machine, raw, own=False, race=raw == "r")
        released(machine)
        machine.settle(rules.SETTLE_TURNS)
        assert planned(machine) == [("StepPlanned", "x")]


def test_so_is_the_step_after_a_racer_that_was_given_up_without_having_run() -> None:
    machine = Machine(request(), linear=False)
    racer = reach(machine, "r", own=False, race=True)
    machine.stand(racer)
    machine.withdraw(racer)
    stand(machine, "x")
    machine.settle(rules.SETTLE_TURNS)
    assert planned(machine) == [("StepPlanned", "x")]


def test_but_the_step_after_a_race_that_is_over_runs_now() -> None:
    machine = Machine(request(["r"]), linear=False)
    stand(machine, "r", own=False, race=True)
    released(machine)
    stand(machine, "x")
    assert machine.settle(rules.ALONE_TURNS).standing is Standing.RUN


def test_in_another_task_it_may_still_be_beside_the_race() -> None:
    machine = Machine(request(["r"]), linear=False)
    stand(machine, "r", own=False, race=True)
    released(machine)
    stand(machine, "x", own=False)
    machine.settle(rules.SETTLE_TURNS)
    assert planned(machine) == [("StepPlanned", "x")]


def test_beside_a_race_in_a_group_of_a_blocking_function_a_step_is_planned_too() -> None:
    machine = Machine(request(["r"]), linear=True)
    with machine.gathering(race=False):
        stand(machine, "x")
        machine.end_branch()
        with machine.gathering(race=True):
            stand(machine, "r", race=True)
        machine.end_branch()
    assert machine.gathered() is None
    assert planned(machine) == [("StepPlanned", "x")]


def test_in_a_later_group_of_a_blocking_function_as_well_but_not_behind_one() -> None:
    for depth, standing in ((1, Standing.WAIT), (0, Standing.RUN)):
        machine = Machine(request(), linear=True)
        with machine.gathering(race=True):
            pass
        with contextlib.ExitStack() as groups:
            for _ in range(depth):
                groups.enter_context(machine.gathering(race=False))
            assert stand(machine, "x") is standing
            machine.end_branch()
        if depth:
            assert machine.gathered() is None
            assert planned(machine) == [("StepPlanned", "x")]


def test_while_a_step_executes_a_blocking_function_finds_no_other_in_its_threads() -> None:
    machine = Machine(request(["m"]), linear=True)
    step = reach(machine, "a")
    assert machine.stand(step) is Standing.RUN
    assert stand(machine, "b") is Standing.WAIT
    assert stand(machine, "m") is Standing.MEMO
    machine.finish(step.op())
    assert planned(machine) == [("StepRun", "a")]


def test_while_hooks_run_no_step_goes_on_the_targeted_one_neither() -> None:
    machine = Machine(request(["a"], target="t"), linear=False)
    stand(machine, "a", own=False)
    machine.resting = True
    assert stand(machine, "t", own=False) is Standing.WAIT
    assert machine.settle(99).ruling is Ruling.REST
    machine.resting = False
    verdict = machine.settle(0)
    assert [step.step_id for step in verdict.released] == ["t"]
    assert verdict.standing is Standing.RUN


def test_what_pauses_is_left_to_the_server_even_alone() -> None:
    machine = Machine(request(), linear=True)
    assert stand(machine, "nap", code=Opcode.SLEEP) is Standing.WAIT
    assert planned(machine) == [("Sleep", "nap")]


def test_nothing_is_decided_while_a_step_executes_but_then_its_op_decides() -> None:
    machine = Machine(request(), linear=False)
    step = reach(machine, "a")
    machine.stand(step)
    machine.settle(rules.ALONE_TURNS)
    stand(machine, "b", own=False)
    assert machine.settle(99).ruling is Ruling.REST
    machine.finish(step.op())
    assert machine.settle(0).ruling is Ruling.REPLY
    assert planned(machine) == [("StepRun", "a")]


def test_a_step_that_waits_for_another_that_waits_for_it_has_failed() -> None:
    machine = Machine(request(), linear=False)
    first, second = reach(machine, "a"), reach(machine, "b", own=False)
    machine.stand(first)
    machine.settle(rules.ALONE_TURNS)
    machine.stand(second)
    verdict = machine.settle(0)
    assert (verdict.ruling, verdict.seconds) == (Ruling.REST, 10)
    assert machine.settle(0, stranded=True).ruling is Ruling.REST
    assert machine.settle(0, stranded=True, awaited=second).ruling is Ruling.REPLY
    assert isinstance(machine.failure, NestedStepError)


def test_after_the_executing_step_is_withdrawn_the_others_are_decided() -> None:
    machine = Machine(request(), linear=False)
    step = reach(machine, "a")
    machine.stand(step)
    machine.settle(rules.ALONE_TURNS)
    stand(machine, "b", own=False)
    machine.withdraw(step)
    verdict = machine.settle(rules.SETTLE_TURNS)
    assert [step.step_id for step in verdict.released] == ["b"]


@pytest.mark.parametrize("linear", [True, False])
def test_after_the_decision_every_further_step_waits_memos_too(linear: bool) -> None:
    machine = Machine(request(["a", "b", "c"]), linear=linear)
    machine.fail(NestedStepError())
    assert machine.recall("a") is machine.recall_next("a") is MISSING
    assert stand(machine, "a") is stand(machine, "new") is Standing.WAIT


# ---- targeting


@pytest.mark.parametrize("linear", [True, False])
def test_the_targeted_step_runs_the_moment_it_is_found(linear: bool) -> None:
    machine = Machine(request(["a"], target="t", plan_only=True), linear=linear)
    if not linear:
        stand(machine, "a", own=False)
    assert stand(machine, "t", own=False) is Standing.RUN


def test_a_blocking_function_that_meets_another_step_is_refused_at_once() -> None:
    machine = Machine(request(target="t"), linear=True)
    assert stand(machine, "x") is Standing.WAIT
    assert isinstance(machine.failure, StepUnexpectedError)
    assert machine.failure.message == 'found step "x" when targeting a different step'


def test_an_async_one_too_where_the_new_step_stands_in_its_own_task() -> None:
    machine = Machine(request(["a"], target="t"), linear=False)
    stand(machine, "a")
    stand(machine, "x")
    assert machine.settle(rules.SETTLE_TURNS).ruling is Ruling.REPLY
    assert isinstance(machine.failure, StepUnexpectedError)


def test_where_other_tasks_called_steps_it_waits_for_the_target() -> None:
    machine = Machine(request(target="t"), linear=False)
    stand(machine, "x", own=False)
    verdict = machine.settle(rules.SETTLE_TURNS)
    assert (verdict.ruling, verdict.seconds) == (Ruling.REST, 10)
    assert stand(machine, "t", own=False) is Standing.RUN


def test_but_not_for_ever() -> None:
    machine = Machine(request(target="t"), linear=False)
    stand(machine, "x", own=False)
    assert machine.settle(rules.SETTLE_TURNS, stranded=True).ruling is Ruling.REPLY
    assert isinstance(machine.failure, StepUnexpectedError)


def test_a_function_that_ends_without_reaching_the_target_has_failed() -> None:
    machine = Machine(request(target="t"), linear=True)
    machine.end()
    assert machine.failure is not None
    assert machine.failure.message == "the function ended without reaching the targeted step"


def test_a_target_that_has_its_memo_was_answered_before_so_the_call_discovers() -> None:
    machine = Machine(request(["t"], target="t"), linear=True)
    assert stand(machine, "t") is Standing.MEMO
    assert stand(machine, "next") is Standing.RUN


def test_the_edited_input_of_the_target_is_no_memo() -> None:
    memos = {hash_step("t"): {"input": ["edited", 1]}}
    machine = Machine(request(memos=memos, target="t"), linear=True)
    step = reach(machine, "t")
    assert machine.stand(step) is Standing.RUN
    assert step.input == ["edited", 1]


# ---- groups of blocking functions


def test_a_group_is_decided_when_its_outermost_level_ends() -> None:
    machine = Machine(request(), linear=True)
    with machine.gathering(race=False):
        with machine.gathering(race=False):
            assert stand(machine, "a") is Standing.WAIT
            assert machine.end_branch()
        assert machine.gathered() is None
        assert machine.end_branch()
        assert stand(machine, "b") is Standing.WAIT
        assert machine.end_branch()
    assert machine.gathered() is None
    assert planned(machine) == [("StepPlanned", "a"), ("StepPlanned", "b")]


def test_one_new_step_in_a_group_is_run() -> None:
    machine = Machine(request(), linear=True)
    step = reach(machine, "a")
    with machine.gathering(race=False):
        machine.stand(step)
        machine.end_branch()
    assert machine.gathered() is step


def test_a_branch_that_is_being_left_finds_no_further_step_and_takes_no_memo() -> None:
    machine = Machine(request(["b", "c"]), linear=True)
    with machine.gathering(race=False):
        stand(machine, "a")
        assert machine.leaving
        assert machine.recall("b") is MISSING
        assert stand(machine, "b") is stand(machine, "new") is Standing.WAIT
        machine.end_branch()
        assert machine.recall("c") == data("c")
    assert machine.gathered() is not None


# ---- deferrals


def deferring(defers: dict[str, Any] | None = None, steps: list[str] | None = None) -> Machine:
    call = request(steps)
    call.defers = {hash_step(raw): known for raw, known in (defers or {}).items()}
    return Machine(call, linear=True)


def test_a_deferral_goes_in_front_of_what_decides_the_call() -> None:
    machine = deferring()
    machine.take_along(machine.deferral("d"))
    machine.take_along(machine.deferral("d"))
    step = machine.reach("nap", Opcode.SLEEP, name="nap", opts=None, race=False, own=True)
    assert machine.stand(step) is Standing.WAIT
    assert [op.id for op in machine.ops] == [hash_step(raw) for raw in ("d", "d:1", "nap")]
    assert machine.decided


def test_a_deferral_is_no_memo_that_anybody_asks_for() -> None:
    memos = CountingMemos({hash_step("a"): data(1)})
    call = request(memos=memos)
    call.defers = {hash_step("d"): {"abortable": True}}
    machine = Machine(call, linear=True)
    memos.uses.clear()
    assert machine.knows_deferral(machine.deferral("d").id)
    assert not machine.knows_deferral(machine.deferral("e").id)
    assert machine.unasked == 1
    assert not memos.uses


def test_an_abort_is_told_of_what_is_known_and_forgets_what_is_not() -> None:
    machine = deferring({"known": {"abortable": True}, "over": {"abortable": False}})
    new = machine.deferral("new")
    machine.take_along(new)
    for name in ("known", "over", "new", "known", "strange"):
        machine.abort(hash_step(name), name)
    (abort,) = machine.ops
    assert (abort.code, abort.opts) == (
        Opcode.DEFER_ABORT,
        {"target_hashed_id": hash_step("known")},
    )


def test_after_the_decision_an_abort_comes_too_late() -> None:
    machine = deferring({"known": {"abortable": True}})
    machine.nested()
    machine.abort(hash_step("known"), "known")
    assert machine.ops == []
