"""
Figures for Prometheus.

Law: reading them looks at no record. What is counted is counted as it happens, from the changes
of each commit; counters begin with the process.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inngest_contrib.devserver.engine.state import Event, Run, Status, Step
from inngest_contrib.devserver.loop import Server
from inngest_contrib.devserver.timings import BOUNDS

_LIVE = (Status.QUEUED, Status.RUNNING)
_ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Metrics:
    """Counts what a server does, from when it is made on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._began = time.monotonic()
        self._live: dict[str, Status] = {}
        self._statuses: Counter[Status] = Counter()
        self._waiting: dict[str, set[str]] = {}
        self._waits = 0
        self._created = 0
        self._ended: Counter[Status] = Counter()
        self._events: Counter[str] = Counter()
        for run in server.reads.live():
            self._note_run(run)
            for wait in run.waits.values():
                self._note_wait(run.id, wait.step.id, waits=True)
        self._created = 0
        server.watch(self._note)

    def _note(self, records: Sequence[Any]) -> None:
        reruns = [one for one in records if isinstance(one, Run) and one.original_run_id]
        # They keep the events of the original once more; nobody has sent them again.
        known = {event.id for run in reruns for event in run.events}
        for record in records:
            if isinstance(record, Run):
                self._note_run(record)
            elif isinstance(record, Step):
                waits = record.status is Status.WAITING
                self._note_wait(record.run_id, record.id, waits=waits)
            elif isinstance(record, Event) and record.id not in known:
                self._events["server" if record.name.startswith("inngest/") else "app"] += 1

    def _note_run(self, run: Run) -> None:
        before = self._live.pop(run.id, None)
        if before is None:
            self._created += 1
        else:
            self._statuses[before] -= 1
        if run.ended_at is None:
            self._live[run.id] = run.status
            self._statuses[run.status] += 1
        else:
            self._ended[run.status] += 1
            self._waits -= len(self._waiting.pop(run.id, ()))

    def _note_wait(self, run_id: str, step_id: str, *, waits: bool) -> None:
        if run_id not in self._live:
            return
        known = self._waiting.setdefault(run_id, set())
        if waits is not (step_id in known):
            self._waits += 1 if waits else -1
            (known.add if waits else known.discard)(step_id)

    def write(self, version: str) -> str:
        """Write the figures as Prometheus reads them."""
        return "".join(line + "\n" for line in self._lines(version))

    def _lines(self, version: str) -> Iterator[str]:
        load = self._server.load()
        yield from _gauge("build_info", "The version that runs.", {f'{{version="{version}"}}': 1})
        up = round(time.monotonic() - self._began, 3)
        yield from _gauge("uptime_seconds", "Seconds since the start.", {"": up})
        live = {_label("status", status.value): self._statuses[status] for status in _LIVE}
        yield from _gauge("runs", "Runs that have not ended.", live)
        yield from _counter("runs_created_total", "Runs created.", {"": self._created})
        ended = {_label("status", status.value): self._ended[status] for status in _ENDED}
        yield from _counter("runs_ended_total", "Runs that ended.", ended)
        origins = {_label("origin", one): self._events[one] for one in ("app", "server")}
        yield from _counter("events_received_total", "Events, sent by apps or made here.", origins)
        yield from _gauge("queue_depth", "Calls that are due or will be.", {"": load.queued})
        yield from _gauge("calls_in_progress", "Calls under way.", {"": load.calling})
        yield from _gauge("steps_waiting", "Steps that sleep or wait.", {"": self._waits})
        yield from self._calls()
        size = self._server.reads.size()
        yield from _gauge("database_bytes", "Size of the database.", {"": size})

    def _calls(self) -> Iterator[str]:
        timings = self._server.timings
        failed = {"": timings.failed}
        yield from _counter("calls_failed_total", "Calls without a reply that counts.", failed)
        yield from _head("call_duration_seconds", "How long calls to apps took.", "histogram")
        below = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), timings.counts, strict=True):
            below += count
            yield f'inngest_call_duration_seconds_bucket{{le="{bound}"}} {below}'
        yield f"inngest_call_duration_seconds_sum {timings.seconds:.6f}"
        yield f"inngest_call_duration_seconds_count {below}"


def _label(name: str, value: str) -> str:
    return f'{{{name}="{value.lower()}"}}'


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield from _head(name, text, "gauge")
    yield from (f"inngest_{name}{labels} {value}" for labels, value in values.items())


def _counter(name: str, text: str, values: Mapping[str, int]) -> Iterator[str]:
    yield from _head(name, text, "counter")
    yield from (f"inngest_{name}{labels} {value}" for labels, value in values.items())


def _head(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP inngest_{name} {text}"
    yield f"# TYPE inngest_{name} {kind}"
