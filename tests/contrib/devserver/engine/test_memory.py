"""What the engine still holds of runs that have ended: nothing, however they ended."""

from __future__ import annotations

import gc
from collections import Counter

from inngest_contrib.devserver.engine.commands import CancelRun, SendSignal
from inngest_contrib.devserver.engine.control import Held, Holding
from inngest_contrib.devserver.engine.lanes import Line
from inngest_contrib.devserver.engine.state import (
    Attempt,
    Cause,
    Deadline,
    Defer,
    Event,
    Job,
    Memos,
    Run,
    Step,
    Wait,
)
from inngest_contrib.devserver.engine.terms import Terms
from tests.contrib.devserver.engine.desk import Desk, error_op, function, op, plan, run_op

KINDS = (
    *(Attempt, Cause, Deadline, Defer, Event, Held, Holding, Job, Line, Memos, Run, Step, Wait),
    Terms,
)
ROUNDS = 250
CONFIG = {
    "concurrency": [{"limit": 1, "key": "event.data.n"}],
    "throttle": {"limit": 1, "period": "1s", "key": "event.data.n"},
    "timeouts": {"start": "1h", "finish": "2h"},
}


def held() -> Counter[str]:
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in KINDS)


def eight_runs(desk: Desk, n: int) -> None:
    """Let runs end: most return, after steps, sleeps and waits; one fails, one is cancelled."""
    data = {"n": n}
    desk.send("f", data)
    desk.answer(run_op("a"))
    desk.answer(op("Sleep", "s", duration="5s"))
    desk.wait(5_000)
    desk.answer(*plan("p", "q"))
    desk.answer(run_op("p"))
    desk.answer(run_op("q"))
    desk.reply(desk.take(), 200, n)
    desk.send("f", data)
    desk.answer(op("WaitForEvent", "w", event="e", timeout="300d"))
    desk.send("e", data)
    desk.reply(desk.take(), 200, n)
    desk.send("f", data)
    desk.answer(op("WaitForSignal", "w", signal=f"s{n}", timeout="300d"))
    desk.do(SendSignal(f"s{n}", n))
    desk.reply(desk.take(), 200, n)
    desk.send("retried", data)
    desk.answer(error_op("a"))
    desk.wait(3_600_000)
    desk.reply(desk.take(), 400, {"name": "E", "message": "no"})
    desk.send("f", data)
    desk.answer(op("WaitForEvent", "w", event="never", timeout="300d"))
    desk.do(CancelRun(next(iter(desk.engine.state.runs))))
    desk.send("f", data)
    desk.answer(op("InvokeFunction", "i", function_id="app-limited", payload={"data": data}))
    desk.reply(desk.take("app-limited"), 200, n)
    desk.reply(desk.take(), 200, n)
    desk.send("limited", data)
    desk.wait(1_000)
    desk.reply(desk.take("app-limited"), 200, n)
    assert not desk.open
    assert not desk.engine.state.runs
    desk.runs.clear()
    desk.events.clear()
    desk.now += 10_000


def test_two_thousand_ended_runs_leave_nothing_behind() -> None:
    desk = Desk()
    desk.sync(function(), function("retried", retries=1), function("limited", **CONFIG))
    eight_runs(desk, -1)
    before, timers = held(), len(desk.engine._timers)
    for n in range(ROUNDS):
        eight_runs(desk, n)
    # What each round left would be there as often as there were rounds; a server of another test
    # that is still about in this process may hold a few.
    assert [kind for kind, more in (held() - before).items() if more >= ROUNDS // 2] == []
    # Places of waits that were fulfilled early are given back once there are a thousand.
    assert len(desk.engine._timers) <= max(timers, 1024)
