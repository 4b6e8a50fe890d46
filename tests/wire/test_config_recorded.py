"""What a real server has refused, recorded, is refused here at definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inngest_core.errors import ConfigError
from inngest_core.wire.config import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    FunctionOpts,
    Priority,
    RateLimit,
    Settings,
    Singleton,
    Throttle,
    Timeouts,
    TriggerCron,
    TriggerEvent,
)

SAMPLE = Path(__file__).parents[1] / "samples" / "devserver" / "registration-errors.json"

MODELS: dict[str, tuple[str, type[Settings]]] = {
    "batchEvents": ("batch_events", Batch),
    "cancel": ("cancel", Cancel),
    "debounce": ("debounce", Debounce),
    "priority": ("priority", Priority),
    "rateLimit": ("rate_limit", RateLimit),
    "singleton": ("singleton", Singleton),
    "throttle": ("throttle", Throttle),
    "timeouts": ("timeouts", Timeouts),
}
NAMES = {"if": "if_exp", "maxSize": "max_size"}
NOT_OURS = (
    "No SDK URL",
    "Non-supported step schema",
    "one step",
    "have a name",
    "name is required",
    "App ID required",
    "sdk_version_denied",
    'unknown unit "d"',
)
"""Complaints about what no user of ours writes, or what is written otherwise: days as hours."""
EXPRESSIONS = ("compiling expression", "expression is invalid", "key is invalid", "concurrency key")
ZONES = {"cron bad TZ"}
"""Which zones there are only the server knows."""


def given(model: type[Settings], wire: Any) -> Any:
    if isinstance(wire, list):
        return [given(model, one) for one in wire]
    return model(**{NAMES.get(key, key): value for key, value in wire.items()})


def trigger(wire: dict[str, Any]) -> Any:
    return given(TriggerCron if "cron" in wire else TriggerEvent, wire)


def concurrency(wire: Any) -> Any:
    if isinstance(wire, dict):
        return {key: given(Concurrency, many) for key, many in wire.items()}
    return given(Concurrency, wire)


def defined(wire: dict[str, Any]) -> FunctionOpts:
    """The options that a user writes for what *wire* says."""
    options = {
        name: given(model, wire[key]) for key, (name, model) in MODELS.items() if key in wire
    }
    if "concurrency" in wire:
        options["concurrency"] = concurrency(wire["concurrency"])
    return FunctionOpts(
        fn_id=wire["id"],
        name=wire["name"],
        triggers=[trigger(one) for one in wire["triggers"]],
        idempotency=wire.get("idempotency"),
        **options,
    )


def refused() -> Iterator[Any]:
    for case in json.loads(SAMPLE.read_text())["cases"]:
        reason = case["log"] or json.dumps(case["reply"])
        if case["status"] == 200 or any(part in reason for part in (*NOT_OURS, *EXPRESSIONS)):
            continue
        functions = [] if case["body"] == "{bad" else json.loads(case["body"]).get("functions", [])
        if case["case"] not in ZONES and functions:
            yield pytest.param(functions, id=case["case"])


@pytest.mark.parametrize("functions", list(refused()))
def test_a_refused_configuration_cannot_be_defined(functions: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError):
        list(map(defined, functions))


def test_most_of_what_was_recorded_is_tried() -> None:
    assert len(list(refused())) > 30
