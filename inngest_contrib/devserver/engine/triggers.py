"""
Which functions an event name concerns: exact names, and patterns that end in `/*` or `.*`.

A star stands for everything below its slash or dot; anywhere else it is an ordinary character.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inngest_contrib.devserver.engine.state import Function, Trigger

_WILD = ("/*", ".*")


class TriggerIndex:
    """The event triggers and cancel events of all functions, by name."""

    def __init__(self, functions: Iterable[Function] = ()) -> None:
        self._exact: dict[str, list[tuple[Function, Trigger]]] = {}
        self._below: dict[str, list[tuple[Function, Trigger]]] = {}
        self._cancelled: dict[str, list[Function]] = {}
        for function in functions:
            # The runs of an archived function go on, and can still be cancelled.
            for name in {cancel.event for cancel in function.cancels}:
                self._cancelled.setdefault(name, []).append(function)
            for trigger in function.triggers:
                self._add(function, trigger)

    def _add(self, function: Function, trigger: Trigger) -> None:
        if function.archived or not trigger.event:
            return
        if trigger.event.endswith(_WILD):
            self._below.setdefault(trigger.event[:-1], []).append((function, trigger))
        else:
            self._exact.setdefault(trigger.event, []).append((function, trigger))

    def find(self, name: str) -> Iterator[tuple[Function, Trigger]]:
        """Every trigger that the name satisfies; a function may come more than once."""
        yield from self._exact.get(name, ())
        if self._below:
            for end, letter in enumerate(name, 1):
                if letter in "/.":
                    yield from self._below.get(name[:end], ())

    def cancelled_by(self, name: str) -> list[Function]:
        """The functions whose runs an event of this name may cancel."""
        return self._cancelled.get(name, [])
