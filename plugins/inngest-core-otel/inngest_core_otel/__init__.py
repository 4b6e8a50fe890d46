"""Spans of calls, steps and sends for OpenTelemetry; of that, only the API is needed."""

from .middleware import OpenTelemetryMiddleware
from .version import VERSION as __version__

__all__ = ["OpenTelemetryMiddleware", "__version__"]
