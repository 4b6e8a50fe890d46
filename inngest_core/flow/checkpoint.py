"""
Steps that are reported while the function goes on.

Law: what has ended is not lost: what could not be reported goes along with the reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ..errors import ServerError, StaleCallError, TransportError
from ..execution.op import Op
from ..execution.reply import dump, op_text
from ..wire.call import CallRequest
from ..wire.config import Checkpoint
from ..wire.http import HttpResponse
from .effect import Do, Flow
from .fetch import fetch
from .persist import persistently
from .rest import said
from .site import Home

Report = Callable[[bytes], Any]
"""Hands a report to a server in this process; its HttpResponse, or an awaitable of it."""

_STALE = 409


class Checkpoints:
    """
    What has ended in one call and is not reported yet, and when it is due.

    began: when the call began, in Unix milliseconds. report: how to reach the server
    without a request, if it is in this process.
    """

    __slots__ = (
        "_began",
        "_buffered",
        "_call",
        "_interval",
        "_last",
        "_report",
        "_reported",
        "_runtime",
        "failed",
        "pending",
    )

    def __init__(
        self, settings: Checkpoint, call: CallRequest, began: int, report: Report | None
    ) -> None:
        self._buffered = settings.buffered_steps
        self._interval = settings.interval_ms
        self._runtime = settings.runtime_ms
        self._call = call
        self._began = self._last = began
        self._report = report
        self._reported = False
        self.pending: list[Op] = []
        self.failed = False
        """Whether a report has failed: no further one is tried, and no further step is run."""

    def is_due(self, now: int) -> bool:
        """Whether what is pending is to be reported now."""
        late = 0 < self._interval <= now - self._last
        return not self.failed and (late or len(self.pending) >= self._buffered)

    def is_over(self, now: int) -> bool:
        """Whether the next step is for another call: this one has gone on for long enough."""
        if self.failed:
            return True
        begun = self._reported or bool(self.pending)
        return begun and 0 < self._runtime <= now - self._began

    def reported(self, now: int) -> None:
        """What was pending has reached the server."""
        self.pending = []
        self._last = now
        self._reported = True

    def body(self, now: int) -> bytes:
        """The report of what is pending."""
        call = self._call
        head = {
            "run_id": call.run_id,
            "fn_id": call.internal_fn_id,
            "qi_id": call.qi_id or "",
            "request_id": call.request_id or "",
            "generation_id": call.generation_id or 0,
            "request_started_at": self._began,
            "ts": now,
        }
        steps = ",".join(map(op_text, self.pending))
        return f'{dump(head)[:-1]},"steps":[{steps}]}}'.encode("utf-8", "backslashreplace")

    def send(self, home: Home, body: bytes) -> Flow[HttpResponse]:
        """The server's reply to a report. Raises TransportError."""
        if self._report is not None:
            response: HttpResponse = yield Do(self._report, (body,))
            return response
        path = f"/v1/checkpoint/{quote(self._call.run_id, safe='')}/async"
        return (yield from persistently(lambda: fetch(home, "POST", path, body)))


def new_checkpoints(
    settings: Checkpoint | None, call: CallRequest, home: Home, report: Report | None
) -> Checkpoints | None:
    """
    What keeps the steps of a call, or None where each is answered by itself.

    So it is in a call for one step, and after a failed attempt: the reply to it is
    what begins to count attempts anew.
    """
    if settings is None or call.target is not None or call.plan_only or call.attempt > 0:
        return None
    if not call.internal_fn_id:
        return None
    return Checkpoints(settings, call, round(home.clock() * 1000), report)


def flush(checkpoints: Checkpoints | None, home: Home) -> Flow[None]:
    """
    Report what is pending; where that fails it stays so.

    Raises StaleCallError if the run is no longer this call's.
    """
    if checkpoints is None or checkpoints.failed or not checkpoints.pending:
        return
    now = round(home.clock() * 1000)
    try:
        response = yield from checkpoints.send(home, checkpoints.body(now))
    except (ServerError, TransportError) as error:
        _fail(checkpoints, home, str(error))
        return
    if response.status == _STALE:
        raise StaleCallError(f"another call goes on with this run: {said(response)}")
    if 200 <= response.status < 300:
        checkpoints.reported(now)
    else:
        _fail(checkpoints, home, f"status {response.status}, {said(response)}")


def _fail(checkpoints: Checkpoints, home: Home, reason: str) -> None:
    checkpoints.failed = True
    home.logger.warning(
        "%d steps could not be reported, and go along with the reply: %s",
        len(checkpoints.pending),
        reason,
    )
