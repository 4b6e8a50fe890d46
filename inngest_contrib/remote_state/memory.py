"""A store in the memory of this process: for tests, and to read how a driver is made."""

from __future__ import annotations

from inngest_core import StepMemos

from .driver import decode, encode, field, lost, make_marker, marked, new_key

_STRATEGY = "inngest/memory"


class InMemoryDriver:
    """Keeps values until the process ends; another process does not find them."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def load_steps(self, steps: StepMemos) -> None:
        """See StateDriver.load_steps."""
        for memo in marked(steps, _STRATEGY):
            body = self._bodies.get(field(memo, "key"))
            if body is None:
                raise lost(memo, "the value is not in the memory of this process")
            memo.data = decode(memo, body)

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """See StateDriver.save_step."""
        key = new_key()
        # As JSON, so that every replay gets a value of its own, and the same as from other drivers.
        self._bodies[key] = encode(value)
        return make_marker(_STRATEGY, key=key)
