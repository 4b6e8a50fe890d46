"""Running one function to its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import inngest_core

from .. import background
from ..runs import Ended, Run
from .client import Inngest, Watched
from .stubs import Status, Stubs

RUN_ID = "test"
_DEFAULT_RETRIES = 4


@dataclass(slots=True)
class Result:
    """
    How a run has ended.

    output: what the function returned, as it returned it. error: what it failed with.
    """

    error: Exception | None
    output: object
    status: Status


class ReplyError(inngest_core.InngestError):
    """The run failed by what the SDK itself found wrong. name: of the error that it reported."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self._name = name

    @property
    def name(self) -> str:
        return self._name


def trigger(
    fn: inngest_core.Function[Any],
    event: inngest_core.Event | list[inngest_core.Event],
    client: Inngest,
    *,
    step_stubs: Mapping[str, object] | None = None,
) -> Result:
    """
    Run a function in memory, from its event to its end.

    event: several for a batch. step_stubs: by step id, how a step ends instead of being
    executed: its value, an exception, ``Timeout``, or a callable of its options that returns
    one of these. Raises UnstubbedStepError for a step that needs a server, and
    EndlessRunError for a run of more than 1,000 steps.

    Blocks until the run has ended, also where it is called on an event loop: async
    functions run on a loop of their own, in another thread.
    """
    _require(fn, client)
    # The function may be one of another client; here it belongs to the mocked one.
    handler = inngest_core.CommHandler(client=client, framework="mocked", functions=[fn])
    watched = Watched()

    def answer(request: inngest_core.CommRequest) -> inngest_core.CommResponse:
        watched.outcome = None
        if fn.is_handler_async:
            return background.run(handler.answer(request))
        return handler.answer_sync(request)

    run = Run(
        answer=answer,
        settle=Stubs(step_stubs or {}).settle,
        fn_id=fn.id,
        events=_records(event),
        max_attempts=_retries(fn) + 1,
        run_id=RUN_ID,
        raw=watched,
    )
    return _result(run.conduct(), watched)


def _require(fn: object, client: object) -> None:
    if not isinstance(fn, inngest_core.Function):
        raise TypeError(f"fn: expected what create_function returned, got {type(fn).__name__}")
    if not isinstance(client, Inngest):
        raise TypeError(
            f"client: expected an inngest_contrib.testing.mocked.Inngest, got "
            f"{type(client).__name__}; another client would send"
        )


def _retries(fn: inngest_core.Function[Any]) -> int:
    retries = fn.config.opts.retries
    return _DEFAULT_RETRIES if retries is None else retries


def _records(event: object) -> list[dict[str, Any]]:
    """The events as a server hands them over."""
    events = list(event) if isinstance(event, Sequence) else [event]
    if not events:
        raise ValueError("event: a run starts with at least one event, got an empty list")
    return [_record(one, f"event[{n}]") for n, one in enumerate(events)]


def _record(event: object, where: str) -> dict[str, Any]:
    if not isinstance(event, inngest_core.Event):
        raise TypeError(f"{where}: expected an inngest_core.Event, got {type(event).__name__}")
    try:
        record: dict[str, Any] = json.loads(json.dumps(event.model_dump(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where} "{event.name}": its data is not JSON: {error}') from error
    return record


def _result(ended: Ended, watched: Watched) -> Result:
    outcome = watched.outcome
    if not ended.failed:
        output = outcome.value if isinstance(outcome, inngest_core.Ok) else ended.document
        return Result(None, output, Status.COMPLETED)
    error = outcome.error if isinstance(outcome, inngest_core.Err) else None
    if not isinstance(error, Exception):
        record = ended.document
        error = ReplyError(record["name"], record["message"])
    return Result(error, None, Status.FAILED)
