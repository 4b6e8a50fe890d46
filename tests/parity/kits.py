"""
The two packages, each under the names that a program uses.

A scenario says `kit.inngest.Inngest`, never the name of a package.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kit:
    """One package."""

    name: str
    homes: dict[str, str]
    """Where things are: the name of a module there, by the name it goes by here."""

    def module(self, name: str) -> Any:
        """Import one of its modules."""
        return importlib.import_module(self.homes[name])

    @property
    def inngest(self) -> Any:
        """The package itself."""
        return self.module("inngest")

    @property
    def experimental(self) -> Any:
        """Where `step` and `get_step_context` are."""
        return self.module("experimental")

    def can(self, adapter: str, colour: str) -> bool:
        """Tell whether it serves functions of this colour on this framework here."""
        return self is OURS or colour == "sync" or adapter in OFFICIAL_AWAITS

    def serve(self, adapter: str) -> Callable[..., Any]:
        """The `serve` of a framework."""
        found: Callable[..., Any] = self.module(adapter).serve
        return found


OURS = Kit(
    "ours",
    {
        "inngest": "inngest_core",
        "experimental": "inngest_core",
        "experimental.ai": "inngest_core.ai",
        "experimental.mocked": "inngest_contrib.testing.mocked",
        "experimental.realtime": "inngest_core.realtime",
        "experimental.remote_state_middleware": "inngest_contrib.remote_state",
        "fastapi": "inngest_contrib.fastapi",
        "flask": "inngest_contrib.flask",
        "tornado": "inngest_contrib.tornado",
        "digitalocean": "inngest_contrib.digitalocean",
    },
)
OFFICIAL = Kit(
    "official",
    {
        "inngest": "inngest",
        "experimental": "inngest.experimental",
        "experimental.ai": "inngest.experimental.ai",
        "experimental.mocked": "inngest.experimental.mocked",
        "experimental.realtime": "inngest.experimental.realtime",
        "experimental.remote_state_middleware": "inngest.experimental.remote_state_middleware",
        "fastapi": "inngest.fast_api",
        "flask": "inngest.flask",
        "tornado": "inngest.tornado",
        "digitalocean": "inngest.digital_ocean",
    },
)
OFFICIAL_IS_HERE = importlib.util.find_spec("inngest") is not None
# Its Flask adapter serves async functions by what `flask[async]` brings; those for Tornado and
# DigitalOcean serve none.
FLASK_AWAITS = importlib.util.find_spec("asgiref") is not None
OFFICIAL_AWAITS = ("fastapi", "flask") if FLASK_AWAITS else ("fastapi",)
KITS = (OURS, OFFICIAL) if OFFICIAL_IS_HERE else (OURS,)
