"""One call in progress, as its steps and its reply see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import MiddlewareError
from ..execution.machine import Machine
from ..execution.op import Op, memo_data
from ..types import EmptySentinel
from ..wire.call import CallRequest
from ..wire.event import sessions_of
from .checkpoint import Checkpoints
from .codec import Codec
from .effect import Effect, Flow, Leave
from .pipeline import MiddlewareManager, each
from .site import Home


class Running:
    """One call in progress, as its steps see it."""

    __slots__ = (
        "awake",
        "checkpoints",
        "codec",
        "headers",
        "home",
        "machine",
        "perform",
        "pipeline",
        "request",
        "step_error",
        "task",
    )

    perform: Callable[[Effect], Any]
    task: object

    def __init__(
        self,
        home: Home,
        machine: Machine,
        request: CallRequest,
        pipeline: MiddlewareManager,
        checkpoints: Checkpoints | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.home = home
        self.headers = headers
        self.codec: Codec = home.codec
        self.machine = machine
        self.request = request
        self.pipeline = pipeline
        self.checkpoints = checkpoints
        self.awake = False
        """Whether everything that ran before is behind us; loggers are quiet until then."""
        self.step_error: Exception | None = None

    @property
    def unreported(self) -> list[Op]:
        """Steps that have ended and that the server has not been told of."""
        return [] if self.checkpoints is None else list(self.checkpoints.pending)

    @property
    def sessions(self) -> Mapping[str, object] | None:
        """The event sessions of the run, if they go along with what is sent in it."""
        if not self.home.config.propagate_sessions:
            return None
        return sessions_of(self.request.event)

    def now(self) -> int:
        """Unix milliseconds."""
        return round(self.home.clock() * 1000)

    def connect(self, perform: Callable[[Effect], Any], task: object) -> None:
        """Take what a driver offers to steps; task: the handler's own, None if it blocks."""
        self.perform = perform
        self.task = task

    def value(self, step_id: str, memo: Any, handler: Callable[..., Any], output_type: Any) -> Any:
        """What a step returns to the function, of its memo."""
        try:
            data = memo["data"]
        except (KeyError, TypeError):
            data = memo_data(memo, step_id)
        typ = self.codec.type_of(handler, output_type)
        return data if typ is EmptySentinel else self.codec.load(data, typ)

    def wake(self) -> Flow[None]:
        """Run ``after_memoization`` and ``before_execution``, once a call."""
        if self.awake:
            return
        self.awake = self.machine.resting = True
        try:
            yield from each(self.pipeline.after_memoization)
            yield from each(self.pipeline.before_execution)
        finally:
            self.machine.resting = False

    def wake_inside(self) -> Flow[None]:
        """
        Wake in the middle of the function.

        A hook that fails decides the call; the user's code must not catch its error.
        """
        try:
            yield from self.wake()
        except MiddlewareError as error:
            self.machine.fail(error)
            yield Leave()
