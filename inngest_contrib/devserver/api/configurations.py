"""The configuration of a function as the interfaces show it, made from the one it registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inngest_contrib.devserver.engine.limits import DEFAULT_RETRIES
from inngest_contrib.devserver.engine.options import is_limit

_SCOPES = {"fn": "FUNCTION", "env": "ENVIRONMENT", "account": "ACCOUNT"}
_NO_LIMIT = {"limit": {"isPlanLimit": True, "value": -1}, "scope": "ACCOUNT"}


def configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """What is set, and the defaults that the real server shows beside it."""
    retries = registered_retries(config)
    shape: dict[str, Any] = {
        "retries": {
            "isDefault": retries is None,
            "value": DEFAULT_RETRIES if retries is None else retries,
        },
        "concurrency": _concurrency(config.get("concurrency")) or [_NO_LIMIT],
        "cancellations": [_cancellation(one) for one in config.get("cancel") or ()],
        "priority": (config.get("priority") or {}).get("run"),
        "rateLimit": _some(config.get("rateLimit"), "limit", "period", "key"),
        "debounce": _some(config.get("debounce"), "period", "key", "timeout"),
        "throttle": _throttle(config.get("throttle")),
        "eventsBatch": _some(config.get("batchEvents"), "maxSize", "timeout", "key"),
        "singleton": _singleton(config.get("singleton")),
    }
    return {key: value for key, value in shape.items() if value not in (None, [])}


def registered_retries(config: Mapping[str, Any]) -> int | None:
    """How many retries a function asked for; None if it did not say."""
    step = next(iter((config.get("steps") or {}).values()), None) or {}
    attempts = (step.get("retries") or {}).get("attempts")
    value = config.get("retries") if attempts is None else attempts
    return value if isinstance(value, int) else None


def trigger(given: Mapping[str, Any]) -> dict[str, Any]:
    """What starts a function."""
    if given.get("cron"):
        return {"type": "CRON", "value": given["cron"]}
    shape = {"type": "EVENT", "value": given.get("event") or ""}
    return {**shape, "condition": given["expression"]} if given.get("expression") else shape


def concurrency_limit(config: Mapping[str, Any]) -> int:
    """The first limit of the function as a whole; 0 if there is none."""
    limits = [one for one in _limits(config.get("concurrency")) if not one.get("key")]
    return next((int(one.get("limit") or 0) for one in limits), 0)


def _concurrency(given: Any) -> list[dict[str, Any]]:
    return [
        {
            "limit": {"isPlanLimit": False, "value": int(one.get("limit") or 0)},
            "scope": _SCOPES.get(str(one.get("scope") or "fn").lower(), "FUNCTION"),
            **({"key": one["key"]} if one.get("key") else {}),
        }
        for one in _limits(given)
    ]


def _limits(given: Any) -> list[Mapping[str, Any]]:
    """The limits of all four forms: a number, a limit, a list, or an object of lists."""
    if isinstance(given, (int, float)):
        return [{"limit": given}]
    if is_limit(given):
        return [given]
    if isinstance(given, Mapping):
        lists = [given.get("step"), given.get("fn")]
        return [one for found in lists if isinstance(found, list) for one in found]
    return list(given or ())


def _throttle(given: Any) -> dict[str, Any] | None:
    shape = _some(given, "limit", "period", "key")
    return None if shape is None else {"burst": given.get("burst") or 1, **shape}


def _singleton(given: Any) -> dict[str, Any] | None:
    if not given:
        return None
    mode = str(given.get("mode") or "skip").upper()
    return {"mode": mode, **({"key": given["key"]} if given.get("key") else {})}


def _cancellation(given: Mapping[str, Any]) -> dict[str, Any]:
    shape = {"event": given.get("event"), "condition": given.get("if")}
    shape["timeout"] = given.get("timeout")
    return {key: value for key, value in shape.items() if value is not None}


def _some(given: Any, *names: str) -> dict[str, Any] | None:
    if not given:
        return None
    return {name: given[name] for name in names if given.get(name) is not None}
