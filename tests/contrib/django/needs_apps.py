"""Middleware whose module cannot be imported before apps are ready."""

from __future__ import annotations

import inngest_core as inngest

from .shop.models import Order


class NeedsModels(inngest.MiddlewareSync):
    """Knows a model."""

    model = Order
