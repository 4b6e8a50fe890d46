"""How many cases a test tries, and how many were tried so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings

PROFILE = "fuzz"
WANTED = 200_000
EACH = 4_000
"""Cases of one test under the profile: with all tests, a little more than is wanted."""

Test = Callable[..., None]

_ALWAYS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
}
settings.register_profile(PROFILE, max_examples=EACH, **_ALWAYS)
SAMPLE = settings(max_examples=10, **_ALWAYS)


@dataclass
class Tally:
    """Counts cases to whose end it came."""

    count: int = 0


tally = Tally()


def fuzzed(**strategies: Any) -> Callable[[Test], Test]:
    """Try many arguments: as many as the profile says, else a sample."""

    def decorate(test: Test) -> Test:
        chosen = settings() if settings().max_examples == EACH else SAMPLE
        return chosen(given(**strategies)(test))

    return decorate
