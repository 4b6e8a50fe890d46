"""
Every error of ours.

InngestError
├── ConfigError                  a client, function, plugin or setting is wrong
│   ├── SigningKeyMissingError   cloud mode needs a signing key
│   └── EventKeyUnspecifiedError cloud mode needs an event key to send
├── RequestError                 a request that we refuse; carries status and code
│   ├── BodyError                its body cannot be read
│   ├── QueryError               its query lacks something
│   ├── SignatureError           it is not signed as it should be
│   ├── FunctionNotFoundError    it names a function that is not served here
│   └── ServerKindMismatchError  it comes from the wrong kind of server
├── TransportError               a request of ours got no reply
│   └── SocketClosedError        a websocket is closed, or broke
├── ServerError                  a request of ours was refused
│   └── SendEventsError          events were not, or not all, accepted
├── EventInvalidError            an event that cannot be sent
├── FunctionError                ends or repeats the run that raised it
│   ├── NonRetriableError        raise it to end the run at once
│   ├── RetryAfterError          raise it to be tried again later
│   ├── StepError                a step failed for good; catch it or let the run fail
│   ├── StepUnexpectedError      a call named a step that the function did not reach
│   ├── OutputUnserializableError a value is not JSON
│   ├── NestedStepError          a step was used inside a step
│   ├── StaleCallError           another call goes on with the run
│   ├── CipherError              a value could not be encrypted, or not be decrypted
│   └── MiddlewareError          a middleware broke its contract
"""

from __future__ import annotations

import copyreg
import datetime
import os
from collections.abc import Sequence
from typing import Any

_HOME = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MAX_TEXT = 64 * 1024


class InngestError(Exception):
    """What every error of ours is. ``code`` names the kind on the wire."""

    code = "unknown"
    status = 500
    quiet = False
    retriable = True

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "")

    def __reduce__(self) -> tuple[Any, ...]:
        # Past __init__, whose arguments are not those that an exception keeps.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]  # of the pickle protocol

    @property
    def message(self) -> str:
        return str(self)

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def stack(self) -> str | None:
        return format_stack(self)


class ConfigError(InngestError):
    """A client, function, plugin or setting is wrong. The message names the field."""

    code = "config_invalid"
    retriable = False


class SigningKeyMissingError(ConfigError):
    """Cloud mode without a signing key."""

    code = "signing_key_unspecified"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message
            or "a signing key is required in cloud mode: set INNGEST_SIGNING_KEY or "
            "Inngest(signing_key=...); for local work set INNGEST_DEV=1"
        )


class EventKeyUnspecifiedError(ConfigError):
    """Cloud mode without an event key."""

    code = "event_key_unspecified"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message
            or "an event key is required to send in cloud mode: set INNGEST_EVENT_KEY or "
            "Inngest(event_key=...); for local work set INNGEST_DEV=1"
        )


class RequestError(InngestError):
    """A request that we refuse."""

    status = 400

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def stack(self) -> str | None:
        return None


class BodyError(RequestError):
    """The body of a request cannot be read. The message names the field."""

    code = "body_invalid"


class QueryError(RequestError):
    """The query of a request lacks something or names something unknown."""

    code = "query_param_missing"


class SignatureError(RequestError):
    """A request is not signed as it should be. Outsiders only learn ``Unauthorized``."""

    code = "sig_verification_failed"
    status = 401


class FunctionNotFoundError(RequestError):
    """A call names a function that is not served here; it may be after a deploy."""

    code = "function_not_found"
    status = 500


class ServerKindMismatchError(RequestError):
    """A request comes from a dev server in cloud mode, or the other way round."""

    code = "server_kind_mismatch"


class TransportError(InngestError):
    """A request of ours got no reply."""

    code = "transport_failed"


class SocketClosedError(TransportError):
    """The other side has closed a websocket, or it broke."""


class ServerError(InngestError):
    """A request of ours was refused by the server."""

    code = "server_refused"


class SendEventsError(ServerError):
    """Events were not, or not all, accepted. ``ids`` holds those that were."""

    code = "send_events_failed"

    def __init__(self, message: str | None = None, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ids = list(ids)


class EventInvalidError(InngestError):
    """An event that cannot be sent. The message names the event and what is wrong."""

    code = "event_invalid"
    retriable = False


class FunctionError(InngestError):
    """An error that says how the run that raised it goes on."""


class NonRetriableError(FunctionError):
    """
    Raise it to end a run, or a step, without another attempt.

    quiet: keeps the SDK from logging it.
    """

    code = "non_retriable_error"
    retriable = False

    def __init__(self, message: str | None = None, quiet: bool = False) -> None:
        super().__init__(message)
        self.quiet = quiet


class RetryAfterError(FunctionError):
    """
    Raise it to choose when the next attempt is made.

    retry_after: int milliseconds, a timedelta, or a datetime (naive: local time).
    quiet: keeps the SDK from logging it.
    """

    code = "retry_after_error"

    def __init__(
        self,
        message: str | None,
        retry_after: int | datetime.timedelta | datetime.datetime,
        quiet: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = _moment(retry_after)
        self.quiet = quiet


def _moment(retry_after: object) -> datetime.datetime:
    if isinstance(retry_after, datetime.datetime):
        return retry_after.astimezone(datetime.timezone.utc)
    if isinstance(retry_after, int) and not isinstance(retry_after, bool):
        retry_after = datetime.timedelta(milliseconds=retry_after)
    if isinstance(retry_after, datetime.timedelta):
        return datetime.datetime.now(datetime.timezone.utc) + retry_after
    raise TypeError(
        "retry_after: expected milliseconds as int, a timedelta or a datetime; "
        f"got {type(retry_after).__name__}"
    )


class StepError(FunctionError):
    """
    A step that failed for good, raised where the step stands.

    name, message, stack: those of the original error; its cause is the ``__cause__``.
    step_id: of the step, as the function gave it. Uncaught, it ends the run.
    """

    code = "step_errored"
    retriable = False
    step_id: str | None = None

    def __init__(self, message: str, name: str, stack: str | None) -> None:
        super().__init__(message)
        self._name = name
        self._stack = stack

    @property
    def name(self) -> str:
        return self._name

    @property
    def stack(self) -> str | None:
        return self._stack


class StepUnexpectedError(FunctionError):
    """A call names a step, but the function reached others."""

    code = "step_unexpected"

    @property
    def stack(self) -> str | None:
        return None


class OutputUnserializableError(FunctionError):
    """A step or function returned what JSON cannot carry."""

    code = "output_unserializable"
    retriable = False


class NestedStepError(FunctionError):
    """A step was used inside another step's callable."""

    code = "step_nested"
    retriable = False

    def __init__(self, message: str = "Nested steps are not supported.") -> None:
        super().__init__(message)


class StaleCallError(FunctionError):
    """The server has given the run to another call, which goes on with it."""

    code = "stale_call"
    status = 400
    retriable = False


class CipherError(FunctionError):
    """
    A value could not be encrypted, or not be decrypted. Tried again: the key may come.

    Neither the value nor a key stands in the message, and no cause that might show them is kept.
    """

    code = "cipher_failed"


class MiddlewareError(FunctionError):
    """A middleware failed or broke its contract. The message names it."""

    code = "middleware_failed"


class Interrupt(BaseException):
    """
    Leaves a blocking function whose call is decided.

    A BaseException, so that ``except Exception`` in user code does not see it.
    """


# ---- errors as text


def format_stack(error: BaseException) -> str | None:
    """The traceback of *error* with the user's frames and without ours; None if it has none."""
    if error.__traceback__ is None:
        return None
    import traceback

    frames = traceback.StackSummary.extract(
        frame for frame in traceback.walk_tb(error.__traceback__) if not _ours(frame[0].f_code)
    )
    lines = ["Traceback (most recent call last):\n", *frames.format()]
    return fit("".join(lines + traceback.format_exception_only(type(error), error)))


def _ours(code: object) -> bool:
    filename: str = getattr(code, "co_filename", "")
    return filename.startswith(_HOME)


def fit(text: str) -> str:
    """Make a text fit for the wire: UTF-8 can say it, and a reader would finish it."""
    if not text.isascii():
        # Names of files may hold surrogates, which no reply could carry.
        text = text.encode(errors="backslashreplace").decode()
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n[{len(text) - _MAX_TEXT} characters cut]\n{text[-half:]}"
