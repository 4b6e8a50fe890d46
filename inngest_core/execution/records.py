"""What steps return that is more than a plain JSON value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import StepUnexpectedError
from .op import memo_data


@dataclass(frozen=True, slots=True)
class Signal:
    """The signal that a wait has found. signal: its name. data: what its sender gave."""

    signal: str
    data: Any


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """
    The response to a fetch, whatever its status.

    headers: names in lower case, several values of one name joined by commas.
    url: the address that was asked for.
    """

    status: int
    # Not shown: any of them may hold a key.
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    url: str = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The JSON value of the body; ValueError if it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ValueError(
                f"the body of the response, whose status is {self.status}, is not JSON: {error}"
            ) from None


def memo_signal(memo: Any, step_id: str) -> Signal | None:
    """The signal that a wait found, or None if it timed out or was replaced."""
    found = memo_data(memo, step_id)
    if found is None:
        return None
    (name,) = _fields(found, step_id, signal=str)
    return Signal(name, found.get("data"))


def memo_response(memo: Any, step_id: str) -> FetchResponse:
    """The response that a fetch got."""
    found = memo_data(memo, step_id)
    (status,) = _fields(found, step_id, status_code=int)
    headers = {name.lower(): value for name, value in (found.get("headers") or {}).items()}
    return FetchResponse(status, headers, found.get("body") or "", found.get("url") or "")


def _fields(found: Any, step_id: str, **kinds: type) -> list[Any]:
    """Fields that a memo must have; StepUnexpectedError naming the step and what is missing."""
    values = []
    for name, kind in kinds.items():
        value = found.get(name) if isinstance(found, dict) else None
        if not isinstance(value, kind):
            raise StepUnexpectedError(
                f'the memo of step "{step_id}" has no {name}, of type {kind.__name__}; is the '
                "id that of a step of another kind, in an earlier version of the function?"
            )
        values.append(value)
    return values
