"""Whatever happens in whatever order: limits hold, no event and no run is lost, no place leaks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inngest_contrib.devserver.engine.commands import CancelRun, Settings
from inngest_contrib.devserver.engine.state import Run
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, Open, function, op, plan, run_op

EXPRESSIONS = Expressions()
KEY = "event.data.k"
MAX_CALLS = 4

BY_KEY = {"limit": 1, "key": KEY}
limits = st.sampled_from(
    [
        {"limit": 1},
        {"limit": 2},
        BY_KEY,
        {"limit": 2, "key": KEY},
        {"limit": 1, "key": KEY, "scope": "env"},
        {"limit": 2, "key": "'all'", "scope": "env"},
        {"limit": 3, "key": "'all'", "scope": "env"},
    ]
)

configs = st.fixed_dictionaries(
    {},
    optional={
        "concurrency": st.one_of(
            st.lists(limits, min_size=1, max_size=2),
            st.just([{"limit": 2}, BY_KEY]),
            st.fixed_dictionaries(
                {"fn": st.lists(limits, min_size=1, max_size=1)},
                optional={"step": st.lists(limits, min_size=1, max_size=2)},
            ),
        ),
        "throttle": st.fixed_dictionaries(
            {"limit": st.integers(1, 2), "period": st.just("10s")},
            optional={"burst": st.integers(0, 2), "key": st.just(KEY)},
        ),
        "batchEvents": st.fixed_dictionaries(
            {"maxSize": st.integers(2, 3), "timeout": st.just("5s")},
            optional={"key": st.just(KEY)},
        ),
        "priority": st.just({"run": f"{KEY} == 'a' ? 5 : -1"}),
        "timeouts": st.just({"start": "30s", "finish": "60s"}),
        "retries": st.just(1),
    },
)

ACTIONS = ["send", "send", "send", "return", "return", "return", "run", "plan", "sleep"]
ACTIONS += ["fail", "lose", "cancel", "time", "restart"]
actions = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 8)), min_size=10, max_size=50)


class Floor:
    """A desk with two functions under random limits, and what was done there."""

    def __init__(self, *configs: dict[str, Any]) -> None:
        self.store = Store(None)
        chosen = Settings(retry_interval=3000, max_calls=MAX_CALLS)
        self.desk = Desk(chosen, self.store, EXPRESSIONS)
        self.configs: dict[str, dict[str, Any]] = {}
        self.register(*configs)
        self.sent: list[int] = []
        self.cancelled: set[str] = set()

    def register(self, *configs: dict[str, Any]) -> None:
        self.configs = {f"app-{name}": config for name, config in zip("fg", configs, strict=True)}
        made = [
            function(slug.removeprefix("app-"), {"event": "e"}, **config)
            for slug, config in self.configs.items()
        ]
        self.desk.sync(*made)

    def act(self, action: str, number: int) -> None:
        if action == "send":
            self.sent.append(len(self.sent))
            self.desk.send("e", {"i": self.sent[-1], "k": "abc"[number % 3]})
        elif action == "time":
            self.desk.wait(number * 1000)
        elif action == "restart":
            self.desk.restart()
        elif action == "cancel":
            self._cancel(number)
        elif self.desk.open:
            self._answer(self.desk.open.pop(number % len(self.desk.open)), action, number)

    def _cancel(self, number: int) -> None:
        live = list(self.desk.engine.state.runs)
        if live:
            self.desk.do(CancelRun(live[number % len(live)]))

    def _answer(self, call: Open, action: str, number: int) -> None:
        if action == "lose":
            self.desk.lose(call)
        elif action == "fail":
            self.desk.reply(call, 500, {"message": "no"})
        elif action == "return":
            self.desk.reply(call, *((200,) if call.step == "step" else (206, [_told(call)])))
        elif call.step != "step":
            self.desk.reply(call, 206, [_told(call)])
        else:
            self.desk.reply(call, 206, _ops(action, f"s{len(call.body['steps'])}.{number}"))

    def drain(self) -> None:
        """Let everything come to its end."""
        for _ in range(10_000):
            if self.desk.open:
                self._answer(self.desk.open.pop(0), "return", 0)
            elif self.desk.engine.state.runs or self.desk.engine.state.control.holdings:
                self.desk.wait(5000)
            else:
                break
        self.desk.wait(120_000)

    # --- what must be true ------------------------------------------------------------------

    def check_limits(self) -> None:
        assert len(self.desk.open) <= MAX_CALLS
        for slug, config in self.configs.items():
            calls, runs = _limits(config)
            for limit in calls:
                self._check_calls(slug, limit)
            for limit in runs:
                self._check_runs(slug, limit)

    def _check_calls(self, slug: str, limit: dict[str, Any]) -> None:
        keys = [call.body["event"]["data"]["k"] for call in self.desk.open if call.function == slug]
        _check_count(keys, limit)

    def _check_runs(self, slug: str, limit: dict[str, Any]) -> None:
        live = self.desk.engine.state.runs.values()
        _check_count([_key(run) for run in live if run.started_at and _slug(run) == slug], limit)

    def check_nobody_waits_in_vain(self) -> None:
        if len(self.desk.engine.state.calling) >= MAX_CALLS:
            return
        for job in self.desk.engine.state.jobs.values():
            gates = () if job.run.terms is None else job.run.terms.gates_before(job.run)
            open_ones = [gate.is_open(self.desk.now) for gate in gates]
            assert not job.ticket or not all(open_ones), (job.step, job.run.event.data)

    def check_end(self) -> None:
        state, control = self.desk.engine.state, self.desk.engine.state.control
        assert (state.runs, state.jobs, state.calling, self.desk.open) == ({}, {}, set(), [])
        assert (control.inside, control.lanes, control.lines, control.throttles) == ({}, {}, {}, {})
        assert (control.holdings, control.meters, control.singles) == ({}, {}, {})
        saved = self.store.load()
        assert (saved.runs, saved.jobs, saved.holdings, saved.held) == ([], [], [], [])
        for slug in self.configs:
            self._check_every_event_ran(slug)

    def check_last_events_ran(self) -> None:
        """A debounce may drop any event, but not the last one of its key."""
        runs = [run for run in self.desk.runs.values() if _slug(run) == "app-f"]
        ran = {run.event.value["data"]["i"] for run in runs}
        assert set(self.sent[-1:]) <= ran

    def _check_every_event_ran(self, slug: str) -> None:
        runs = {run.id: run for run in self.desk.runs.values() if _slug(run) == slug}
        ran = [event.value["data"]["i"] for run in runs.values() for event in run.events]
        assert sorted(ran) == self.sent


def _told(call: Open) -> dict[str, Any]:
    return {"id": call.step, "op": "StepRun", "data": 1}


def _ops(action: str, name: str) -> list[dict[str, Any]]:
    return {
        "run": [run_op(name)],
        "plan": plan(name, f"{name}b"),
        "sleep": [op("Sleep", name, duration="7s")],
    }[action]


def _limits(config: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    concurrency = config.get("concurrency") or []
    if isinstance(concurrency, list):
        return concurrency, []
    return concurrency.get("step", []), concurrency["fn"]


def _check_count(keys: list[str], limit: dict[str, Any]) -> None:
    counts = Counter(keys if limit.get("key") == KEY else ["all"] * len(keys))
    assert all(count <= limit["limit"] for count in counts.values()), (counts, limit)


def _slug(run: Run) -> str:
    return run.function.slug


def _key(run: Run) -> str:
    key: str = run.event.value["data"]["k"]
    return key


@settings(max_examples=120, deadline=None)
@given(configs, configs, actions)
def test_limits_hold_and_nothing_is_lost(
    first: dict[str, Any], second: dict[str, Any], todo: list[tuple[str, int]]
) -> None:
    floor = Floor(first, second)
    for action, number in todo:
        floor.act(action, number)
        floor.check_limits()
        floor.check_nobody_waits_in_vain()
    floor.drain()
    floor.check_end()
    floor.store.close()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(configs, configs, actions), min_size=2, max_size=4))
def test_nothing_is_lost_when_limits_change(
    phases: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, int]]]],
) -> None:
    """Calls in progress at the change may be more than the new limit allows; none is added."""
    floor = Floor(*phases[0][:2])
    for first, second, todo in phases:
        floor.register(first, second)
        for action, number in todo:
            floor.act(action, number)
            floor.check_nobody_waits_in_vain()
    floor.drain()
    floor.check_end()
    floor.store.close()


singles = st.fixed_dictionaries(
    {},
    optional={
        "singleton": st.fixed_dictionaries(
            {"mode": st.sampled_from(["skip", "cancel"])}, optional={"key": st.just(KEY)}
        ),
        "rateLimit": st.fixed_dictionaries(
            {"limit": st.integers(1, 3), "period": st.just("10s")}, optional={"key": st.just(KEY)}
        ),
        "debounce": st.fixed_dictionaries(
            {"period": st.just("3s")}, optional={"key": st.just(KEY), "timeout": st.just("6s")}
        ),
        "concurrency": st.just(1),
    },
)


@settings(max_examples=80, deadline=None)
@given(singles, actions)
def test_singletons_are_alone_and_leave_nothing_behind(
    config: dict[str, Any], todo: list[tuple[str, int]]
) -> None:
    floor = Floor(config, {})
    for action, number in todo:
        floor.act(action, number)
        live = [_key(r) for r in floor.desk.engine.state.runs.values() if _slug(r) == "app-f"]
        if "singleton" in config:
            _check_count(live, {"limit": 1, **config["singleton"]})
    floor.drain()
    if config.keys() <= {"debounce", "concurrency"}:
        floor.check_last_events_ran()
    floor.configs.pop("app-f")
    floor.check_end()
    floor.store.close()
