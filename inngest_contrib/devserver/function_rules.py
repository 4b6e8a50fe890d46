"""
What a function's registration must obey beyond its types. The texts are the real server's.

Each rule is one generator that yields what is wrong; all of them look at every function, so that a
user is told everything at once. What the server accepts in silence (throttle and singleton keys,
`timeouts`, the timeout of a cancellation) is accepted here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from inngest_contrib.devserver import cron
from inngest_contrib.devserver.durations import go_duration, long_duration
from inngest_contrib.devserver.engine.options import is_limit

MAX_TRIGGERS = 10
MAX_CANCELS = 5
MAX_CONCURRENCY_LIMITS = 2
MAX_EVENT_NAME = 255
SECOND = 1000
MAX_JITTER = 300 * SECOND
MAX_RATE_PERIOD = 24 * 3600 * SECOND
MAX_DEBOUNCE = 168 * 3600 * SECOND

Function = Mapping[str, Any]
ProblemOf = Callable[[str], "str | None"]
Problems = Iterator[str]


def problems(function: Function, problem_of: ProblemOf) -> Problems:
    """List everything that is wrong with a function whose types are right.

    `problem_of` says why an expression does not compile.
    """
    for rule in _RULES:
        yield from rule(function, problem_of)


def _name(function: Function, problem_of: ProblemOf) -> Problems:
    if not function.get("name"):
        yield "A function name is required"


def _steps(function: Function, problem_of: ProblemOf) -> Problems:
    steps = function.get("steps") or {}
    if len(steps) != 1:
        yield "Functions must contain one step"
    for step in steps.values():
        if not (step or {}).get("name"):
            yield "All steps must have a name"
        yield from _step_url(function, step or {})


def _step_url(function: Function, step: Mapping[str, Any]) -> Problems:
    url = (step.get("runtime") or {}).get("url")
    if not url:
        yield f"No SDK URL provided for function '{function.get('name') or ''}'"
        return
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https", "ws", "wss"):
        yield f"Non-supported step schema: {scheme}"


def _triggers(function: Function, problem_of: ProblemOf) -> Problems:
    triggers = function.get("triggers") or []
    if len(triggers) > MAX_TRIGGERS:
        yield f"This function exceeds the max number of triggers: {MAX_TRIGGERS}"
    seen = set()
    for trigger in triggers:
        yield from _trigger(trigger, problem_of)
        key = (trigger.get("event"), trigger.get("expression"), trigger.get("cron"))
        if key in seen and any(key):
            yield _duplicate(trigger)
        seen.add(key)


def _duplicate(trigger: Mapping[str, Any]) -> str:
    if trigger.get("cron"):
        return f"duplicate cron expression: {trigger['cron']}"
    return f"duplicate trigger event: {trigger['event']}"


def _trigger(trigger: Mapping[str, Any], problem_of: ProblemOf) -> Problems:
    event, schedule = trigger.get("event"), trigger.get("cron")
    if event is None and schedule is None:
        yield "A trigger must supply an event name or a cron schedule"
    elif event is not None and schedule is not None:
        yield "A trigger cannot have both an event and a cron trigger"
    elif event is not None:
        yield from _event_trigger(event, trigger.get("expression"), problem_of)
    else:
        yield from _cron_trigger(schedule or "", trigger.get("jitter"))


def _event_trigger(event: str, expression: str | None, problem_of: ProblemOf) -> Problems:
    if not event:
        yield "An event trigger must specify an event name"
    if len(event) > MAX_EVENT_NAME:
        yield f"event name is too long. maximum length is {MAX_EVENT_NAME} characters"
    if expression and (problem := problem_of(expression)):
        yield f"invalid trigger expression on '{event}': {problem}"


def _cron_trigger(schedule: str, jitter: str | None) -> Problems:
    problem = cron.problem(schedule)
    if problem:
        yield problem
    if not jitter:
        return
    try:
        length = go_duration(jitter)
    except ValueError:
        yield f"'{jitter}' isn't a valid jitter duration"
        return
    if length < SECOND:
        yield "cron jitter must be at least 1s"
    if length > MAX_JITTER:
        yield "cron jitter must be less than or equal to 5m0s"


def _batch(function: Function, problem_of: ProblemOf) -> Problems:
    batch = function.get("batchEvents")
    if not batch:
        return
    size = batch.get("maxSize") or 0
    if size < 2:
        yield f"batch size cannot be smaller than 2: {size}"
    yield from _batch_timeout(batch.get("timeout") or "")
    if batch.get("key") and (problem := problem_of(batch["key"])):
        yield f"batch key expression is invalid: {problem}"
    if batch.get("if") and (problem := problem_of(batch["if"])):
        yield f"conditional batch expression is invalid {problem}"
    yield from _batch_excludes(function)


def _batch_timeout(text: str) -> Problems:
    try:
        if go_duration(text) < SECOND:
            yield "batch timeout should be more than 1s"
    except ValueError as error:
        yield f"failed to parse time duration: {error}"


def _batch_excludes(function: Function) -> Problems:
    if function.get("cancel"):
        yield "Batching and cancellation are mutually exclusive"
    if function.get("debounce"):
        yield "Batching and debouncing are mutually exclusive"
    if function.get("singleton") is not None:
        yield "Batching and singletons are mutually exclusive"
    if (function.get("priority") or {}).get("run"):
        yield "A function cannot specify Priority.Run and Batch together"


def _cancel(function: Function, problem_of: ProblemOf) -> Problems:
    cancels = function.get("cancel") or []
    if len(cancels) > MAX_CANCELS:
        yield f"This function exceeds the max number of cancellation events: {MAX_CANCELS}"
    for cancel in cancels:
        if cancel.get("if") and (problem := problem_of(cancel["if"])):
            yield f"Cancellation expression is invalid: {problem}"


def _concurrency(function: Function, problem_of: ProblemOf) -> Problems:
    given = function.get("concurrency")
    concurrency = [given] if is_limit(given) else given
    for_runs = concurrency.get("fn") or [] if isinstance(concurrency, dict) else []
    for_steps = concurrency.get("step") or [] if isinstance(concurrency, dict) else concurrency
    limits = for_steps if isinstance(for_steps, list) else []
    if len(limits) > MAX_CONCURRENCY_LIMITS:
        yield (
            "There are more concurrency limits specified than the allowed max of: "
            f"{MAX_CONCURRENCY_LIMITS}"
        )
    for limit in [*limits, *for_runs]:
        yield from _concurrency_key(limit, problem_of)
    yield from _run_concurrency(for_runs)


def _concurrency_key(limit: Mapping[str, Any], problem_of: ProblemOf) -> Problems:
    key, scope = limit.get("key"), (limit.get("scope") or "fn").lower()
    if not key and scope in ("env", "account"):
        yield f"A concurrency key must be specified for {scope.title()} scoped limits"
    if key and (problem := problem_of(key)):
        yield f"Invalid concurrency key '{key}': {problem}"


def _run_concurrency(limits: list[Mapping[str, Any]]) -> Problems:
    if len(limits) > 1:
        yield "Only one function concurrency limit is allowed"
    for limit in limits:
        if (limit.get("scope") or "").lower() == "app":
            yield "app-scoped function concurrency cannot be set by users"
        if (limit.get("limit") or 0) <= 0:
            yield "function concurrency limit must be > 0"


def _debounce(function: Function, problem_of: ProblemOf) -> Problems:
    debounce = function.get("debounce")
    if not debounce:
        return
    period = debounce.get("period") or ""
    yield from _debounce_period(period)
    if debounce.get("key") and (problem := problem_of(debounce["key"])):
        yield f"Debounce expression is invalid: {problem}"


def _debounce_period(period: str) -> Problems:
    length = 0.0
    try:
        length = long_duration(period)
    except ValueError as error:
        yield f"The debounce period of '{period}' is invalid: {error}"
    if length < SECOND:
        yield f"The debounce period of '{period}' is less than the min of: 1s"
    if length > MAX_DEBOUNCE:
        yield f"The debounce period of '{period}' is greater than the max of: 168h0m0s"


def _rate_limit(function: Function, problem_of: ProblemOf) -> Problems:
    rate = function.get("rateLimit")
    if rate:
        if (rate.get("limit") or 0) <= 0:
            yield "limit must be greater than 0"
        yield from _rate_period(rate.get("period") or "")
    # An idempotency key is sugar for a rate limit of one a day.
    key = (rate or {}).get("key") or function.get("idempotency")
    if key and (problem := problem_of(key)):
        yield f"key is invalid: {problem}"


def _rate_period(period: str) -> Problems:
    if not period:
        yield "period must be specified"
        return
    try:
        if long_duration(period) > MAX_RATE_PERIOD:
            yield "period must be less than 24h0m0s"
    except ValueError as error:
        yield f"failed to parse time duration: {error}"


def _priority(function: Function, problem_of: ProblemOf) -> Problems:
    run = (function.get("priority") or {}).get("run")
    if run and (problem := problem_of(run)):
        yield f"Priority.Run expression is invalid: {problem}"


_RULES = (
    _name,
    _triggers,
    _steps,
    _rate_limit,
    _debounce,
    _batch,
    _cancel,
    _concurrency,
    _priority,
)
