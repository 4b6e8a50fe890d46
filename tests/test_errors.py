"""The tree of errors, as it stands in their module, and what users construct of it."""

from __future__ import annotations

import copy
import datetime
import functools
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import inngest_core.errors as errors
from inngest_core.errors import (
    BodyError,
    InngestError,
    NonRetriableError,
    RetryAfterError,
    SendEventsError,
    StepError,
)

UTC = datetime.timezone.utc


def classes() -> dict[str, type[Exception]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, InngestError)
    }


def test_the_docstring_draws_the_tree_that_is_there() -> None:
    drawn: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│├└─ ]*)(\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        drawn[match[2]] = parents[-1][1] if parents else "Exception"
        parents.append((depth, match[2]))
    assert drawn == {name: found.__bases__[0].__name__ for name, found in classes().items()}


def test_an_error_of_ours_knows_its_message_name_and_stack() -> None:
    error = NonRetriableError("no way")
    assert (error.message, error.name, error.quiet) == ("no way", "NonRetriableError", False)
    assert error.stack is None
    with pytest.raises(NonRetriableError) as raised:
        raise error
    assert raised.value.stack is not None
    assert raised.value.stack.startswith("Traceback (most recent call last):")
    assert NonRetriableError().message == ""
    assert NonRetriableError("x", quiet=True).quiet


MINUTE = datetime.timedelta(minutes=1)


@pytest.mark.parametrize(
    "after",
    [
        lambda: 60_000,
        lambda: MINUTE,
        lambda: datetime.datetime.now(UTC) + MINUTE,
        lambda: datetime.datetime.now() + MINUTE,
    ],
)
def test_retry_after_is_a_moment_however_it_is_given(after: Any) -> None:
    error = RetryAfterError("later", after(), quiet=True)
    assert error.retry_after.tzinfo is UTC
    left = error.retry_after - datetime.datetime.now(UTC)
    assert datetime.timedelta(seconds=30) < left <= datetime.timedelta(seconds=61)
    assert (error.message, error.quiet) == ("later", True)


@pytest.mark.parametrize("after", [None, "1h", True, 1.5])
def test_retry_after_of_another_type_is_refused_by_field(after: Any) -> None:
    with pytest.raises(TypeError, match=r"^retry_after: "):
        RetryAfterError("later", after)


def test_a_step_error_carries_the_name_and_stack_of_the_original() -> None:
    error = StepError("bad value", "ValueError", "Traceback …")
    assert (error.message, error.name, error.stack) == ("bad value", "ValueError", "Traceback …")


def test_a_partial_send_tells_which_ids_were_accepted() -> None:
    assert SendEventsError("no", ("a", "b")).ids == ["a", "b"]
    assert SendEventsError("no").ids == []


def test_every_error_has_a_code_and_a_status_for_the_wire() -> None:
    for name, found in classes().items():
        assert re.fullmatch(r"[a-z_]+", found.code), name  # type: ignore[attr-defined]
        assert 400 <= found.status < 600, name  # type: ignore[attr-defined]


class Declined(NonRetriableError):
    """A user's own, whose arguments are not its message."""

    def __init__(self, card: str, reason: str) -> None:
        super().__init__(f"{card}: {reason}")
        self.card = card


ERRORS: list[InngestError] = [
    StepError("bad value", "ValueError", "Traceback …"),
    RetryAfterError("later", 60_000, quiet=True),
    RetryAfterError(None, datetime.datetime(2030, 1, 1)),
    SendEventsError("no", ["a", "b"]),
    NonRetriableError("no way", quiet=True),
    BodyError("what", code="odd"),
    Declined("visa", "expired"),
]


def pickled(error: InngestError, protocol: int = pickle.DEFAULT_PROTOCOL) -> InngestError:
    found: InngestError = pickle.loads(pickle.dumps(error, protocol))
    return found


COPIES: list[Callable[[InngestError], InngestError]] = [
    copy.copy,
    copy.deepcopy,
    *(functools.partial(pickled, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_in_another_process(
    error: InngestError, copied: Callable[[InngestError], InngestError]
) -> None:
    found = copied(error)
    assert type(found) is type(error)
    assert (vars(found), found.args) == (vars(error), error.args)
    assert (found.message, found.name, found.stack) == (error.message, error.name, error.stack)
    assert (found.code, found.retriable, found.quiet) == (error.code, error.retriable, error.quiet)


def test_a_note_on_an_error_survives_as_well() -> None:
    error = NonRetriableError("no")
    error.__notes__ = ["seen"]  # type: ignore[attr-defined,unused-ignore]
    assert pickled(error).__notes__ == ["seen"]  # type: ignore[attr-defined,unused-ignore]
