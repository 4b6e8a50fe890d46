"""A router with events, functions and runs, for those who let others in than admins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.routers import DefaultRouter

from .views import EventViewSet, FunctionViewSet, RunViewSet

PARTS = {"events": EventViewSet, "functions": FunctionViewSet, "runs": RunViewSet}


def router(
    *,
    authentication_classes: Sequence[Any] | None = None,
    event_types: list[str] | None = None,
    permission_classes: Sequence[Any] | None = None,
    throttle_classes: Sequence[Any] | None = None,
) -> DefaultRouter:
    """
    A router whose ``urls`` are to be included.

    None leaves what there is: for permissions IsAdminUser, for the others REST
    framework's defaults. event_types: names that may be sent.
    """
    made = DefaultRouter()
    given = {
        "authentication_classes": authentication_classes,
        "permission_classes": permission_classes,
        "throttle_classes": throttle_classes,
    }
    chosen = {name: tuple(value) for name, value in given.items() if value is not None}
    for name, view in PARTS.items():
        own = {"event_types": event_types} if name == "events" else {}
        kind = type(view.__name__, (view,), {**chosen, **own, "__module__": view.__module__})
        made.register(name, kind, basename=f"inngest-{name}")
    return made
