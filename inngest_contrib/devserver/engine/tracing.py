"""
The trace of a run, as W3C writes it: ids, and the headers that a call carries.

Law: the id of a trace is the id of its run in other letters, so that a span that an app has traced
tells by itself whose it is.
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

from inngest_contrib.devserver.engine.state import Job
from inngest_core.wire.ids import is_ulid

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
RUN = "run"
"""The key of the span that stands for the whole run."""


def trace_id(run_id: str) -> str:
    """The id of the trace of a run: 32 hex digits."""
    if not is_ulid(run_id):
        return hashlib.sha256(run_id.encode()).hexdigest()[:32]
    number = 0
    for letter in run_id:
        number = number << 5 | _VALUES[letter]
    return f"{number:032x}"


def run_of(trace: str) -> str:
    """The id of the run that a trace, of 32 hex digits, would be about. Raises ValueError."""
    number = int(trace, 16)
    return "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))


def span_id(run_id: str, key: str) -> str:
    """The id of what a key stands for within a run: 16 hex digits."""
    return hashlib.sha256(f"{run_id}/{key}".encode()).hexdigest()[:16]


def trace_headers(job: Job) -> dict[str, str]:
    """Under which span the app's own ones belong: that of the step that is called, or the run's."""
    run = job.run
    parent = span_id(run.id, RUN if job.discovers else job.step)
    context = f"00-{trace_id(run.id)}-{parent}-01"
    reference = quote(json.dumps({"tp": context, "ts": ""}, separators=(",", ":")), safe="")
    function = run.function
    return {
        "traceparent": context,
        "tracestate": (
            f"inngest@traceref={reference},inngest@fn={function.id},inngest@app={function.app_id}"
        ),
    }
