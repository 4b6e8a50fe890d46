"""
How a function is configured: what users construct, checked where they write it.

The rules are the server's. A wrong value raises ConfigError naming the model,
the field and the rule, at definition and not at the first sync.
"""

from __future__ import annotations

import abc
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from typing_extensions import Self

from ..errors import ConfigError
from .model import Model
from .time import SECOND, format_duration, to_ms

MAX_EVENT_NAME = 255
_HOUR = 3600 * SECOND
_DAY = 24 * _HOUR
_CRON_FIELD = re.compile(r"[0-9A-Za-z*,/?#L-]+")
_CRON_NUMBER = re.compile(r"(?<![/#\d])\d+")
"""A value of a field; not a step, and not which weekday of a month."""
_CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_ZONE = re.compile(r"^(?:CRON_)?TZ=\S+\s+")


def _duration(value: object) -> object:
    try:
        to_ms(value, "duration")  # type: ignore[arg-type]  # its own check names the type
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("duration: ")) from None
    return value


Period = Annotated[
    int | datetime.timedelta | str, pydantic.BeforeValidator(_duration, json_schema_input_type=Any)
]


class Settings(Model):
    """The base of every configuration model: strict, closed, and clear about what is wrong."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise ConfigError(describe(type(self).__name__, error)) from None

    @abc.abstractmethod
    def to_wire(self) -> dict[str, object]:
        """The configuration as the server reads it, without the keys that were not set."""


def describe(owner: str, error: pydantic.ValidationError) -> str:
    """One line a problem: the field and the rule it breaks."""
    return "; ".join(
        ".".join([owner, *map(str, problem["loc"])])
        + f": {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _require(rule: bool, message: str) -> None:
    if not rule:
        raise ValueError(message)


def _period(value: int | datetime.timedelta | str | None) -> str | None:
    return None if value is None else format_duration(to_ms(value))


def _clock_period(value: int | datetime.timedelta | str | None) -> str | None:
    """For the fields that the server parses without days and weeks."""
    return None if value is None else format_duration(to_ms(value), "h m s")


def _between(field: str, value: object, low: int, high: int | None = None) -> None:
    if value is None:
        return
    ms = to_ms(value, field)  # type: ignore[arg-type]  # validated as a Period before
    _require(ms >= low, f"{field} must be at least {format_duration(low)}")
    if high is not None:
        _require(ms <= high, f"{field} must be at most {format_duration(high)}")


def _whole_seconds(field: str, value: object) -> None:
    if value is not None:
        ms = to_ms(value, field)  # type: ignore[arg-type]  # validated as a Period before
        _require(ms % SECOND == 0, f"{field} must be a whole number of seconds")


def _set(**keys: object) -> dict[str, object]:
    return {key: value for key, value in keys.items() if value is not None}


class Batch(Settings):
    """Start one run for several events: when max_size are there, or timeout after the first."""

    max_size: int = pydantic.Field(ge=2)
    timeout: Period | None = None
    key: str | None = None
    if_exp: str | None = None

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        _between("timeout", self.timeout, SECOND)
        _whole_seconds("timeout", self.timeout)
        return self

    def to_wire(self) -> dict[str, object]:
        timeout = _clock_period(self.timeout)
        return {
            **_set(maxSize=self.max_size, timeout=timeout, key=self.key),
            **_set(**{"if": self.if_exp}),
        }


class Cancel(Settings):
    """Cancel runs when an event arrives; if_exp sees the trigger as event, the other as async."""

    event: str = pydantic.Field(min_length=1)
    if_exp: str | None = None
    timeout: Period | None = None

    def to_wire(self) -> dict[str, object]:
        return _set(**{"event": self.event, "if": self.if_exp, "timeout": _period(self.timeout)})


class Checkpoint(Settings):
    """
    Report steps while the function goes on, instead of answering after each of them.

    buffered_steps: how many are reported together. max_interval: report those that are
    there after this long. max_runtime: for how long one call may go on; "0s": no limit.
    """

    buffered_steps: int = pydantic.Field(default=1, ge=1)
    max_interval: Period | None = None
    max_runtime: Period = "10s"

    def to_wire(self) -> dict[str, object]:
        return {
            "batch_steps": self.buffered_steps,
            "batch_interval": format_duration(self.interval_ms, "h m s ms"),
            "max_runtime": format_duration(self.runtime_ms, "h m s ms"),
        }

    @property
    def interval_ms(self) -> int:
        """max_interval in milliseconds, 0 if there is none."""
        return 0 if self.max_interval is None else to_ms(self.max_interval)

    @property
    def runtime_ms(self) -> int:
        """max_runtime in milliseconds, 0 if there is no limit."""
        return to_ms(self.max_runtime)


def chosen_checkpoint(
    asked: bool | Checkpoint | None, default: Checkpoint | None = None
) -> Checkpoint | None:
    """The settings that were asked for: True for the usual ones, None for *default*."""
    if asked is None:
        return default
    if isinstance(asked, bool):
        return Checkpoint() if asked else None
    if isinstance(asked, Checkpoint):
        return asked
    raise ConfigError(
        f"checkpoint: expected True, False or a Checkpoint, got {type(asked).__name__}"
    )


class Concurrency(Settings):
    """How many calls may be in progress at once, per function, environment or account, by key."""

    key: str | None = None
    limit: int
    scope: Literal["account", "env", "fn"] | None = None

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        shared = self.scope in ("account", "env")
        _require(self.key is not None or not shared, f"scope {self.scope} needs a key")
        return self

    def to_wire(self) -> dict[str, object]:
        return _set(key=self.key, limit=self.limit, scope=self.scope)


class ConcurrencyLimits(Settings):
    """
    Limits by what they count: fn counts runs, from their first call to their end, sleeps
    included; step counts calls in progress, as a plain list does.
    """

    fn: list[Concurrency] = pydantic.Field(default=[], max_length=1)
    step: list[Concurrency] = pydantic.Field(default=[], max_length=2)

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        for limit in self.fn:
            _require(limit.scope in (None, "fn"), f"fn: scope {limit.scope} is not for runs")
            _require(limit.limit > 0, "fn: limit must be greater than 0")
        return self

    def to_wire(self) -> dict[str, object]:
        limits = {"fn": self.fn, "step": self.step}
        return {key: [limit.to_wire() for limit in many] for key, many in limits.items() if many}


def _either_form(value: object, as_list: pydantic.ValidatorFunctionWrapHandler) -> object:
    if isinstance(value, ConcurrencyLimits):
        return value
    return ConcurrencyLimits(**value) if isinstance(value, Mapping) else as_list(value)


if TYPE_CHECKING:
    _Limits = list[Concurrency] | ConcurrencyLimits
else:
    # A union would complain about both forms where one is wrong.
    _Limits = Annotated[
        list[Concurrency],
        pydantic.Field(max_length=2),
        pydantic.WrapValidator(_either_form),
    ]


class Debounce(Settings):
    """Start one run when no further event has come for period, timeout at the latest."""

    key: str | None = None
    period: Period
    timeout: Period | None = None

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        _between("period", self.period, SECOND, 7 * _DAY)
        return self

    def to_wire(self) -> dict[str, object]:
        return _set(key=self.key, period=_period(self.period), timeout=_period(self.timeout))


class Priority(Settings):
    """An expression that yields how many seconds earlier a run is to be started."""

    run: str = pydantic.Field(min_length=1)

    def to_wire(self) -> dict[str, object]:
        return {"run": self.run}


class RateLimit(Settings):
    """How many runs may start in a period; events beyond that start none."""

    key: str | None = None
    limit: int = pydantic.Field(gt=0)
    period: Period

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        _between("period", self.period, SECOND, _DAY)
        return self

    def to_wire(self) -> dict[str, object]:
        return _set(key=self.key, limit=self.limit, period=_period(self.period))


class Singleton(Settings):
    """At most one run at a time, by key: skip the new event, or cancel the running one."""

    key: str | None = None
    mode: Literal["skip", "cancel"]

    def to_wire(self) -> dict[str, object]:
        return _set(key=self.key, mode=self.mode)


class Throttle(Settings):
    """How many runs may start in a period; further ones wait. burst: extra starts at once."""

    key: str | None = None
    limit: int = pydantic.Field(gt=0)
    period: Period
    burst: int | None = 1

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        _between("period", self.period, SECOND)
        _whole_seconds("period", self.period)
        return self

    def to_wire(self) -> dict[str, object]:
        period = _clock_period(self.period)
        return _set(burst=self.burst, key=self.key, limit=self.limit, period=period)


class Timeouts(Settings):
    """How long a run may wait for its start, and how long it may take to finish."""

    start: Period | None = None
    finish: Period | None = None

    def to_wire(self) -> dict[str, object]:
        return _set(start=_period(self.start), finish=_period(self.finish))


class TriggerEvent(Settings):
    """Start on an event, if the expression holds."""

    event: str = pydantic.Field(min_length=1, max_length=MAX_EVENT_NAME)
    expression: str | None = None

    def to_wire(self) -> dict[str, object]:
        return _set(event=self.event, expression=self.expression)


class TriggerCron(Settings):
    """
    Start by the clock: five cron fields, in UTC or after ``TZ=Area/City``.

    jitter: a random delay of at most this much, ``"1s"`` to ``"5m"``.
    """

    cron: str
    jitter: str | None = None

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        fields = _CRON_ZONE.sub("", self.cron).split()
        valid = len(fields) == 5 and all(map(_CRON_FIELD.fullmatch, fields))
        _require(valid, f"cron: '{self.cron}' isn't a valid cron schedule of five fields")
        for field, (low, high) in zip(fields, _CRON_BOUNDS, strict=True):
            for number in _CRON_NUMBER.findall(field):
                _require(
                    low <= int(number) <= high,
                    f"cron: '{self.cron}' isn't a valid cron schedule: in {field} a number is "
                    f"not between {low} and {high}",
                )
        if self.jitter is not None:
            _between("jitter", _duration(self.jitter), SECOND, 300 * SECOND)
        return self

    def to_wire(self) -> dict[str, object]:
        return _set(cron=self.cron, jitter=self.jitter)


class FunctionOpts(Settings):
    """
    Everything ``create_function`` was given, and the rules between its fields.

    retries: 0 to 20; None leaves the server's four.
    """

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    fn_id: str = pydantic.Field(min_length=1)
    name: str
    triggers: list[TriggerCron | TriggerEvent] = pydantic.Field(max_length=10)
    batch_events: Batch | None = None
    cancel: list[Cancel] | None = pydantic.Field(default=None, max_length=5)
    checkpoint: Checkpoint | None = None
    concurrency: _Limits | None = None
    debounce: Debounce | None = None
    idempotency: str | None = None
    priority: Priority | None = None
    rate_limit: RateLimit | None = None
    retries: int | None = pydantic.Field(default=None, ge=0, le=20)
    singleton: Singleton | None = None
    throttle: Throttle | None = None
    timeouts: Timeouts | None = None

    @pydantic.model_validator(mode="after")
    def _rules(self) -> Self:
        keys = [t.event if isinstance(t, TriggerEvent) else t.cron for t in self.triggers]
        for key in keys:
            _require(keys.count(key) == 1, f'triggers: duplicate trigger "{key}"')
        if self.batch_events is not None:
            _require(self.batch_events.timeout is not None, "batch_events: timeout is required")
            for other in ("cancel", "debounce", "singleton", "priority"):
                excluded = getattr(self, other)
                _require(not excluded, f"batch_events and {other} are mutually exclusive")
        return self

    def to_wire(self) -> dict[str, object]:
        """The function's own keys of its registration; ids, steps and URL are added there."""
        models = {
            "batchEvents": self.batch_events,
            "checkpoint": self.checkpoint,
            "debounce": self.debounce,
            "priority": self.priority,
            "rateLimit": self.rate_limit,
            "singleton": self.singleton,
            "throttle": self.throttle,
            "timeouts": self.timeouts,
        }
        return {
            **{key: model.to_wire() for key, model in models.items() if model is not None},
            **_set(cancel=_all_to_wire(self.cancel), concurrency=self._concurrency()),
            **_set(idempotency=self.idempotency),
            "triggers": [trigger.to_wire() for trigger in self.triggers],
        }

    def _concurrency(self) -> object:
        if isinstance(self.concurrency, ConcurrencyLimits):
            return self.concurrency.to_wire()
        return _all_to_wire(self.concurrency)


def _all_to_wire(many: Sequence[Settings] | None) -> list[dict[str, object]] | None:
    return [one.to_wire() for one in many] if many else None
