"""What becomes of values between two calls."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Any, Optional

import pydantic

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Stage


class User(pydantic.BaseModel):
    """A model of a user's own."""

    name: str
    born: Optional[datetime.date] = None  # noqa: UP045  # as users write it


@scenario()
def plain_values_stay_plain(at: Stage) -> Expected:
    @at.function()
    async def plain(ctx: Any) -> Any:
        async def work() -> Any:
            return {"list": [1, 2.5, None, True], "tuple": (1, 2), "text": "ü\u2028\x00", "": {}}

        first = await ctx.step.run("work", work)
        at.note(ctx, [type(first["tuple"]).__name__, type(first["list"][1]).__name__])
        return first

    return expect(
        output={"list": [1, 2.5, None, True], "tuple": [1, 2], "text": "ü\u2028\x00", "": {}},
        log=[["list", "float"]],
    )


@scenario()
def a_tuple_arrives_as_a_list(at: Stage) -> Expected:
    @at.function()
    async def tupled(ctx: Any) -> Any:
        async def work() -> Any:
            return (1, (2, 3))

        return await ctx.step.run("work", work)

    return expect(output=[1, [2, 3]])


@scenario()
def none_is_a_result(at: Stage) -> Expected:
    @at.function()
    async def nothing(ctx: Any) -> None:
        async def work() -> None:
            at.note(ctx, "ran")

        assert await ctx.step.run("work", work) is None

    return expect(status="COMPLETED", output=None, ops=[["StepRun work"], ["200"]], log=["ran"])


@scenario()
def numbers_keep_their_kind(at: Stage) -> Expected:
    @at.function()
    async def numbers(ctx: Any) -> Any:
        async def work() -> Any:
            return [1, -1, 2**53, 1.5, 1e21, 0.1]

        return [repr(one) for one in await ctx.step.run("work", work)]

    return expect(output=["1", "-1", "9007199254740992", "1.5", "1e+21", "0.1"])


@scenario()
def a_model_by_output_type(at: Stage) -> Expected:
    """The serializer is the client's, so the scenario has a client of its own."""

    @at.function()
    async def typed(ctx: Any) -> Any:
        async def one() -> User:
            return User(name="Ada", born=datetime.date(1815, 12, 10))

        async def many() -> list[User]:
            return [User(name="Ada"), User(name="Bob")]

        async def maybe() -> User | None:
            return None

        user = await ctx.step.run("one", one, output_type=User)
        users = await ctx.step.run("many", many, output_type=list[User])
        nobody = await ctx.step.run("maybe", maybe, output_type=Optional[User])  # noqa: UP045
        return [type(user).__name__, user.born.year, type(users[0]).__name__, nobody]

    return expect(output=["User", 1815, "User", None])


@scenario()
def an_invoked_function_gives_its_model(at: Stage) -> Expected:
    @at.function("child", output_type=User)
    async def child(ctx: Any) -> User:
        return User(name=ctx.event.data["name"])

    @at.function()
    async def parent(ctx: Any) -> Any:
        user = await ctx.step.invoke("child", function=child, data={"name": "Ada"})
        return [type(user).__name__, user.name]

    return expect(output=["User", "Ada"])


@scenario()
def a_function_returns_a_model(at: Stage) -> Expected:
    @at.function(output_type=User)
    async def modelled(ctx: Any) -> User:
        return User(name="Ada", born=datetime.date(1815, 12, 10))

    return expect(output={"name": "Ada", "born": "1815-12-10"})


@dataclasses.dataclass
class Point:
    """A dataclass of a user's own."""

    x: int
    y: int


@scenario()
def a_dataclass_by_output_type(at: Stage) -> Expected:
    @at.function()
    async def typed(ctx: Any) -> Any:
        async def work() -> Point:
            return Point(1, 2)

        point = await ctx.step.run("work", work, output_type=Point)
        return [type(point).__name__, point.x]

    return expect(output=["Point", 1])


@scenario()
def a_model_without_output_type(at: Stage) -> Expected:
    @at.function(retries=0)
    async def untyped(ctx: Any) -> Any:
        async def work() -> Any:
            return User(name="Ada")

        return await ctx.step.run("work", work)

    return expect(
        status="FAILED",
        output={
            "code": "output_unserializable",
            "message": '"work" returned unserializable data',
            "name": "OutputUnserializableError",
        },
    )


@scenario()
def what_json_makes_of_keys(at: Stage) -> Expected:
    @at.function()
    async def keyed(ctx: Any) -> Any:
        async def work() -> Any:
            return {1: "one", False: "no", None: "nothing", 1.5: "more"}

        return await ctx.step.run("work", work)

    return expect(output={"1": "one", "false": "no", "null": "nothing", "1.5": "more"})


class Colour(str, enum.Enum):  # StrEnum is of Python 3.11
    """An enum of texts."""

    RED = "red"


@scenario()
def an_enum_of_texts(at: Stage) -> Expected:
    @at.function()
    async def coloured(ctx: Any) -> Any:
        async def work() -> Any:
            return [Colour.RED]

        return await ctx.step.run("work", work)

    return expect(output=["red"])


@scenario()
def what_json_lacks(at: Stage) -> Expected:
    @at.function(retries=0)
    async def lacking(ctx: Any) -> Any:
        values = {
            "bytes": b"x",
            "datetime": datetime.datetime(2020, 1, 1),
            "nan": float("nan"),
            "set": {1},
        }
        return values[ctx.event.data["kind"]]

    def play(at: Stage) -> Any:
        kinds = ("bytes", "datetime", "nan", "set")
        runs = {kind: at.ended(at.send(data={"kind": kind})) for kind in kinds}
        return {kind: [run.status, _code(run.output)] for kind, run in runs.items()}

    refused = ["FAILED", "output_unserializable"]
    return expect(play, bytes=refused, datetime=refused, nan=refused, set=refused)


def _code(output: Any) -> Any:
    return output["code"] if isinstance(output, dict) else repr(output)


@scenario("async")
def a_state_that_the_server_keeps_back(at: Stage) -> Expected:
    """Beyond four megabytes a call comes without its memos, and the app fetches them."""

    @at.function()
    async def large(ctx: Any) -> Any:
        async def work() -> str:
            return "x" * 1_500_000

        return [len(await ctx.step.run(f"step {n}", work)) for n in range(3)]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "kept back": [one["use_api"] for one in run.contexts]}

    return expect(
        play,
        **{"output": [1_500_000] * 3, "kept back": [False, False, False, True]},
    )
