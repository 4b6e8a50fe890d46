"""
Durable, event-driven step functions.

Importing this package imports nothing else: each public name is fetched from
its module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Inngest
    from .comm import CommHandler, CommRequest, CommResponse
    from .context import Context, ContextSync
    from .errors import (
        CipherError,
        ConfigError,
        EventKeyUnspecifiedError,
        InngestError,
        NonRetriableError,
        RetryAfterError,
        SendEventsError,
        SigningKeyMissingError,
        StepError,
    )
    from .execution.records import FetchResponse, Signal
    from .flow.cipher import Sealer
    from .flow.pipeline import MiddlewareManager
    from .flow.send import EventSeed, SendEventsResult
    from .flow.serializer import PydanticSerializer
    from .function import Function
    from .groups import Group, GroupSync
    from .middleware import Middleware, MiddlewareSync
    from .plugin.frameworks import framework, frameworks
    from .plugin.types import (
        Cipher,
        Framework,
        Serializer,
        StepInfo,
        StepMemos,
        TransformOutputResult,
        TransformOutputStepInfo,
        hookimpl,
    )
    from .result import Err, Ok, Outcome, Paused
    from .steps import Step, StepSync
    from .surroundings import get_step_context, set_step_context, step
    from .types import JSON
    from .version import VERSION as __version__
    from .wire.config import (
        Batch,
        Cancel,
        Checkpoint,
        Concurrency,
        Debounce,
        FunctionOpts,
        Priority,
        RateLimit,
        Singleton,
        Throttle,
        Timeouts,
        TriggerCron,
        TriggerEvent,
    )
    from .wire.event import Event
    from .wire.names import Opcode, ParallelMode, Streaming
    from .wire.register import FunctionConfig

__all__ = [
    "JSON",
    "Batch",
    "Cancel",
    "Checkpoint",
    "Cipher",
    "CipherError",
    "CommHandler",
    "CommRequest",
    "CommResponse",
    "Concurrency",
    "ConfigError",
    "Context",
    "ContextSync",
    "Debounce",
    "Err",
    "Event",
    "EventKeyUnspecifiedError",
    "EventSeed",
    "FetchResponse",
    "Framework",
    "Function",
    "FunctionConfig",
    "FunctionOpts",
    "Group",
    "GroupSync",
    "Inngest",
    "InngestError",
    "Middleware",
    "MiddlewareManager",
    "MiddlewareSync",
    "NonRetriableError",
    "Ok",
    "Opcode",
    "Outcome",
    "ParallelMode",
    "Paused",
    "Priority",
    "PydanticSerializer",
    "RateLimit",
    "RetryAfterError",
    "Sealer",
    "SendEventsError",
    "SendEventsResult",
    "Serializer",
    "Signal",
    "SigningKeyMissingError",
    "Singleton",
    "Step",
    "StepError",
    "StepInfo",
    "StepMemos",
    "StepSync",
    "Streaming",
    "Throttle",
    "Timeouts",
    "TransformOutputResult",
    "TransformOutputStepInfo",
    "TriggerCron",
    "TriggerEvent",
    "__version__",
    "framework",
    "frameworks",
    "get_step_context",
    "hookimpl",
    "set_step_context",
    "step",
]

_CONFIG_NAMES = (
    "Batch Cancel Checkpoint Concurrency Debounce FunctionOpts Priority RateLimit Singleton "
    "Throttle Timeouts TriggerCron TriggerEvent"
)
_ERROR_NAMES = (
    "CipherError ConfigError EventKeyUnspecifiedError InngestError NonRetriableError "
    "RetryAfterError SendEventsError SigningKeyMissingError StepError"
)
_HOMES = {
    "client": "Inngest",
    "comm": "CommHandler CommRequest CommResponse",
    "context": "Context ContextSync",
    "errors": _ERROR_NAMES,
    "execution.records": "FetchResponse Signal",
    "flow.cipher": "Sealer",
    "flow.pipeline": "MiddlewareManager",
    "flow.send": "EventSeed SendEventsResult",
    "flow.serializer": "PydanticSerializer",
    "function": "Function",
    "middleware": "Middleware MiddlewareSync",
    "plugin.frameworks": "framework frameworks",
    "plugin.types": (
        "Cipher Framework Serializer StepInfo StepMemos TransformOutputResult "
        "TransformOutputStepInfo hookimpl"
    ),
    "result": "Err Ok Outcome Paused",
    "groups": "Group GroupSync",
    "steps": "Step StepSync",
    "surroundings": "get_step_context set_step_context step",
    "types": "JSON",
    "wire.config": _CONFIG_NAMES,
    "wire.event": "Event",
    "wire.names": "Opcode ParallelMode Streaming",
    "wire.register": "FunctionConfig",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .version import VERSION

        return VERSION
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
