"""Runs whose outputs are kept elsewhere: markers on the wire, equal values in the function."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.remote_state import (
    FilesystemDriver,
    InMemoryDriver,
    RemoteStateMiddleware,
    StateDriver,
)
from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    Inngest,
    MiddlewareSync,
    StepError,
    StepMemos,
    TransformOutputResult,
)

from ...support import RUN_ID, Run, endpoint, giving, new_client, on_loop, post

Handler = Callable[[Any], Any]
LARGE = {"text": "x" * 5_000, "list": list(range(1_000))}


def client_with(driver: StateDriver, **options: Any) -> Inngest:
    return new_client(middleware=[RemoteStateMiddleware.factory(driver, **options)])


def play(handler: Handler, driver: StateDriver, *, max_attempts: int = 5, **options: Any) -> Run:
    door = endpoint(handler, client=client_with(driver, **options))
    if not inspect.iscoroutinefunction(handler):
        return Run(door.answer_sync, max_attempts=max_attempts).play()
    with on_loop(door) as answer:
        return Run(answer, max_attempts=max_attempts).play()


def blocking(ctx: ContextSync) -> list[Any]:
    found = [ctx.step.run(f"s{n}", giving({**LARGE, "n": n})) for n in range(4)]
    ctx.step.sleep("nap", "1s")
    return [one == {**LARGE, "n": n} for n, one in enumerate(found)]


async def awaiting(ctx: Context) -> list[Any]:
    steps = [ctx.step.run(f"s{n}", giving({**LARGE, "n": n})) for n in range(4)]
    found = await asyncio.gather(*steps)
    await ctx.step.sleep("nap", "1s")
    return [one == {**LARGE, "n": n} for n, one in enumerate(found)]


@pytest.fixture(params=["memory", "directory"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> StateDriver:
    return InMemoryDriver() if request.param == "memory" else FilesystemDriver(tmp_path)


# ---- a run


@pytest.mark.parametrize("handler", [blocking, awaiting])
def test_replays_see_equal_values_and_the_wire_only_markers(
    handler: Handler, driver: StateDriver
) -> None:
    run = play(handler, driver)
    assert run.result == [True] * 4
    memos = [memo["data"] for memo in run.memos.values() if memo]
    assert len(memos) == 4
    assert all(memo["__REMOTE_STATE__"] is True for memo in memos)
    assert len(json.dumps(run.memos)) < 1_500


def test_an_async_function_on_a_blocking_server_is_served_alike() -> None:
    client = client_with(InMemoryDriver())
    door = endpoint(awaiting, client=client)
    assert Run(door.answer_sync).play().result == [True] * 4
    client.close()


def test_a_blocking_function_on_a_loop_is_served_alike() -> None:
    client = client_with(InMemoryDriver())
    with on_loop(endpoint(blocking, client=client)) as answer:
        assert Run(answer).play().result == [True] * 4
    client.close()


def test_values_stand_under_the_run(tmp_path: Path) -> None:
    play(blocking, FilesystemDriver(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [RUN_ID]
    assert len(list((tmp_path / RUN_ID).iterdir())) == 4


def test_what_a_function_returns_stays_where_it_is() -> None:
    assert play(lambda ctx: LARGE, InMemoryDriver()).output == LARGE


def test_errors_and_pauses_stay_where_they_are() -> None:
    def boom() -> None:
        raise ValueError("bad value")

    def handler(ctx: ContextSync) -> str:
        ctx.step.sleep("nap", "1s")
        try:
            ctx.step.run("boom", boom)
        except StepError as error:
            return error.message
        return "not reached"

    run = play(handler, InMemoryDriver(), max_attempts=1)
    assert run.result == "bad value"
    assert [memo and set(memo) for memo in run.memos.values()] == [None, {"error"}]


def test_a_returned_none_is_a_value() -> None:
    def handler(ctx: ContextSync) -> list[Any]:
        return [ctx.step.run("nothing", giving(None)), "after"]

    run = play(handler, InMemoryDriver())
    assert run.result == [None, "after"]
    (memo,) = run.memos.values()
    assert memo["data"]["__STRATEGY__"] == "inngest/memory"


@pytest.mark.parametrize("options", [{}, {"threshold": 10}])
def test_an_output_that_is_no_json_is_refused_by_its_step(options: Any) -> None:
    run = play(lambda ctx: ctx.step.run("odd", object), InMemoryDriver(), **options)
    assert run.error is not None
    assert run.error["code"] == "output_unserializable"
    assert run.error["message"] == '"odd" returned unserializable data'


# ---- threshold


def one_step(value: object) -> Handler:
    return lambda ctx: ctx.step.run("a", giving(value))


@pytest.mark.parametrize(
    ("value", "threshold", "stays"),
    [
        ("", 0, False),
        ("x" * 7, 10, True),
        ("x" * 8, 10, False),
        (None, 4, False),
        (None, 5, True),
    ],
)
def test_outputs_of_fewer_bytes_stay(value: Any, threshold: int, stays: bool) -> None:
    run = play(one_step(value), InMemoryDriver(), threshold=threshold)
    (memo,) = run.memos.values()
    assert (memo == {"data": value}) is stays
    assert run.result == value


def test_an_output_that_looks_like_a_marker_never_stays() -> None:
    forged = {"__REMOTE_STATE__": True, "__STRATEGY__": "inngest/memory", "key": "of another"}
    run = play(one_step(forged), InMemoryDriver(), threshold=1_000)
    assert run.result == forged


# ---- what is not to be had


@pytest.mark.parametrize("handler", [blocking, awaiting])
def test_a_missing_value_is_an_error_that_names_it_and_is_tried_again(handler: Handler) -> None:
    marker = InMemoryDriver().save_step(RUN_ID, 1)
    door = endpoint(handler, client=client_with(InMemoryDriver()))
    response = door.answer_sync(post({"s0": {"data": marker}}))
    assert (response.status, response.headers["x-inngest-no-retry"]) == (500, "false")
    message = json.loads(response.body)["message"]
    assert message.startswith("middleware RemoteStateMiddleware.transform_input failed: run ")
    for named in (RUN_ID, "step ", "inngest/memory", "not in the memory of this process"):
        assert named in message


def test_an_unknown_strategy_is_an_error_that_says_what_to_do() -> None:
    marker = {"__REMOTE_STATE__": True, "__STRATEGY__": "acme/tape", "reel": 7}
    door = endpoint(blocking, client=client_with(InMemoryDriver()))
    response = door.answer_sync(post({"s0": {"data": marker}}))
    assert (response.status, response.headers["x-inngest-no-retry"]) == (500, "false")
    message = json.loads(response.body)["message"]
    for named in (RUN_ID, "step ", '"acme/tape"', "also_read=[...]"):
        assert named in message


def test_a_driver_of_a_stranger_that_fails_is_named() -> None:
    class Broken(InMemoryDriver):
        def load_steps(self, steps: StepMemos) -> None:
            raise KeyError("k")

    door = endpoint(blocking, client=client_with(Broken()))
    message = json.loads(door.answer_sync(post({"s0": {"data": 1}})).body)["message"]
    assert message.endswith(f"run {RUN_ID}: Broken could not load: KeyError('k')")


def test_a_value_that_cannot_be_saved_fails_the_call_and_no_step() -> None:
    class Full(InMemoryDriver):
        def save_step(self, run_id: str, value: object) -> dict[str, object]:
            raise OSError("no space left")

    door = endpoint(one_step(1), client=client_with(Full()))
    response = door.answer_sync(post())
    assert (response.status, response.headers["x-inngest-no-retry"]) == (500, "false")
    assert "no space left" in json.loads(response.body)["message"]


# ---- from one store to another


def test_runs_that_began_with_another_driver_go_on(tmp_path: Path) -> None:
    old, new = InMemoryDriver(), FilesystemDriver(tmp_path)
    half = play(one_step("kept"), old)
    door = endpoint(one_step("kept"), client=client_with(new, also_read=[old]))
    again = Run(door.answer_sync, memos=half.memos, stack=half.stack).play()
    assert (again.result, len(again.calls)) == ("kept", 1)
    assert list(tmp_path.iterdir()) == []


def test_two_of_them_may_surround_each_other(tmp_path: Path) -> None:
    factories = [
        RemoteStateMiddleware.factory(driver)
        for driver in (InMemoryDriver(), FilesystemDriver(tmp_path))
    ]
    door = endpoint(blocking, client=new_client(middleware=factories))
    assert Run(door.answer_sync).play().result == [True] * 4


class Reversing(MiddlewareSync):
    """Stands for what hides values."""

    def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> None:
        for memo in steps.values():
            memo.data = memo.data[::-1]

    def transform_output(self, result: TransformOutputResult) -> None:
        if result.step is not None:
            result.output = str(result.output)[::-1]


def test_what_is_named_behind_it_hides_what_is_kept(tmp_path: Path) -> None:
    factory = RemoteStateMiddleware.factory(FilesystemDriver(tmp_path))
    door = endpoint(one_step("secret"), client=new_client(middleware=[factory, Reversing]))
    assert Run(door.answer_sync).play().result == "secret"
    (kept,) = tmp_path.rglob("*.json")
    assert kept.read_text() == '"terces"'


# ---- where drivers are called


class Watching(InMemoryDriver):
    """Notes in which threads it has something to do."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def load_steps(self, steps: StepMemos) -> None:
        if steps.size:
            self.threads.add(threading.get_ident())
        super().load_steps(steps)

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        self.threads.add(threading.get_ident())
        return super().save_step(run_id, value)


def test_an_async_function_never_waits_for_its_driver_on_the_loop() -> None:
    driver = Watching()
    assert play(awaiting, driver).result == [True] * 4
    assert driver.threads
    assert threading.get_ident() not in driver.threads


def test_a_blocking_function_asks_it_in_its_own_thread() -> None:
    driver = Watching()
    assert play(blocking, driver).result == [True] * 4
    assert driver.threads == {threading.get_ident()}


@pytest.mark.parametrize("handler", [blocking, awaiting])
def test_the_hooks_of_a_derived_class_are_called_as_they_stand(handler: Handler) -> None:
    class OnlySecond(RemoteStateMiddleware):
        def __init__(self, client: Inngest, raw_request: object, driver: StateDriver) -> None:
            super().__init__(client, raw_request, driver)

        def transform_output(self, result: TransformOutputResult) -> None:
            if result.step is not None and result.step.id == "s1":
                super().transform_output(result)

    factory = OnlySecond.factory(InMemoryDriver())
    assert isinstance(factory(new_client(), None), OnlySecond)
    door = endpoint(handler, client=new_client(middleware=[factory]))
    with on_loop(door) as answer:
        run = Run(answer).play()
    assert run.result == [True] * 4
    kept = [memo for memo in run.memos.values() if memo and "__STRATEGY__" in memo["data"]]
    assert len(kept) == 1


@pytest.mark.parametrize("handler", [blocking, awaiting])
def test_an_instance_serves_both_too(handler: Handler) -> None:
    client = new_client()
    client.add_middleware(RemoteStateMiddleware(client, None, InMemoryDriver()))
    door = endpoint(handler, client=client)
    assert Run(door.answer_sync).play().result == [True] * 4
    client.close()


# ---- what is refused


@pytest.mark.parametrize(
    ("driver", "options", "named"),
    [
        (InMemoryDriver, {}, "driver: .*got the class InMemoryDriver"),
        ("s3://bucket", {}, "driver: .*got a str"),
        (InMemoryDriver(), {"also_read": [None]}, "driver: .*got a NoneType"),
        (InMemoryDriver(), {"also_read": InMemoryDriver()}, "also_read: .*got InMemoryDriver"),
        (InMemoryDriver(), {"threshold": -1}, "threshold: expected a number of bytes.*got -1"),
        (InMemoryDriver(), {"threshold": "1k"}, "threshold: expected a number of bytes.*got '1k'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(driver: Any, options: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        RemoteStateMiddleware.factory(driver, **options)
