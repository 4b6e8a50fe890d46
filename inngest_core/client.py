"""The client: what users configure, decorate with and send through."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .engine import Engine
from .env import Config, resolve
from .errors import ConfigError
from .flow.cipher import new_sealer
from .flow.codec import Codec
from .flow.effect import Flow
from .flow.pipeline import EMPTY, async_hook, has_hook
from .flow.send import EventSeed, send_events
from .flow.signal import send_signal
from .flow.site import Home
from .function import Function, is_async
from .plugin.types import Serializer
from .surroundings import surrounding_sessions
from .types import Duration, EmptySentinel
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
    chosen_checkpoint,
)
from .wire.event import Event
from .wire.register import FunctionConfig

if TYPE_CHECKING:
    # Contexts hold steps, and those need asyncio: a blocking program never does.
    from .context import Context, ContextSync

T = TypeVar("T")

AsyncHandler = Callable[["Context"], Awaitable[T]]
SyncHandler = Callable[["ContextSync"], T]
ConcurrencyByKind = Mapping[Literal["fn", "step"], list[Concurrency]]
FailureHandler = Callable[["Context"], Awaitable[Any]] | Callable[["ContextSync"], Any]

BUILTIN_PLUGINS = (
    "inngest_core.net.http",
    "inngest_core.connect.transport",
    "inngest_core.flow.serializer",
)


class _Decorator:
    """What ``create_function`` returns: typed by the handler that it is given."""

    def __init__(self, build: Callable[[Callable[[Any], Any]], Function[Any]]) -> None:
        self._build = build

    @overload
    def __call__(self, handler: AsyncHandler[T]) -> Function[T]: ...

    @overload
    def __call__(self, handler: SyncHandler[T]) -> Function[T]: ...

    def __call__(self, handler: Callable[[Any], Any]) -> Function[Any]:
        return self._build(handler)


class Inngest:
    """
    One app, as the server knows it.

    Arguments beat environment variables. Nothing is opened and no key is needed
    until something is sent or served.

    checkpoint: report steps while a function goes on, unless the function says
    otherwise; None asks INNGEST_CHECKPOINTING. is_production: False for dev mode, where
    nothing is signed; None asks INNGEST_DEV. request_timeout: for one request of ours.
    middleware: classes, factories or instances. options: what plugins are told, by
    plugin name. plugins: objects, dotted paths, or names of installed ones.
    strict_plugins: let an installed plugin that fails stop the client; None asks
    INNGEST_STRICT_PLUGINS.
    """

    def __init__(
        self,
        *,
        api_base_url: str | None = None,
        app_id: str,
        app_version: str | None = None,
        checkpoint: bool | Checkpoint | None = None,
        env: str | None = None,
        event_api_base_url: str | None = None,
        event_key: str | None = None,
        is_production: bool | None = None,
        logger: Any = None,
        middleware: Sequence[Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        plugins: Sequence[Any] = (),
        request_timeout: Duration | None = None,
        serializer: Serializer | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
        strict_plugins: bool | None = None,
        thread_pool_size: int | None = None,
    ) -> None:
        from .plugin.manager import fold

        _require_middleware(middleware)
        _require_list("plugins", plugins)
        _require_serializer(serializer)
        self.config: Config = resolve(
            api_base_url=api_base_url,
            app_id=app_id,
            app_version=app_version,
            checkpoint=checkpoint,
            env=env,
            event_api_base_url=event_api_base_url,
            event_key=event_key,
            is_production=is_production,
            options=options,
            request_timeout=request_timeout,
            signing_key=signing_key,
            signing_key_fallback=signing_key_fallback,
            strict_plugins=strict_plugins,
            thread_pool_size=thread_pool_size,
        )
        self.logger: Any = logger or _own_logger(self.config.log_level)
        self._functions: dict[str, Function[Any]] = {}
        self._taken: dict[str, Function[Any]] = {}
        folded = fold(self.config, plugins, BUILTIN_PLUGINS)
        home = Home(
            config=self.config,
            codec=Codec(serializer or folded.serializer),
            client=self,
            middleware=(*folded.middleware, *(middleware or ())),
            sealer=new_sealer(folded.ciphers),
        )
        self.engine = Engine(home, folded)

    def __repr__(self) -> str:
        return f"<Inngest {self.app_id} ({self.config.kind.value})>"

    # ---- what it was told

    @property
    def app_id(self) -> str:
        return self.config.app_id

    @property
    def app_version(self) -> str | None:
        return self.config.app_version

    @property
    def is_production(self) -> bool:
        return self.config.is_production

    @property
    def env(self) -> str | None:
        return self.config.env

    @property
    def api_origin(self) -> str:
        return self.config.shown_api_origin

    @property
    def event_api_origin(self) -> str:
        return self.config.shown_event_origin

    @property
    def event_key(self) -> str | None:
        return self.config.event_key

    @property
    def signing_key(self) -> str | None:
        return self.config.signing_key

    @property
    def signing_key_fallback(self) -> str | None:
        return self.config.signing_key_fallback

    @property
    def middleware(self) -> list[Any]:
        return list(self.engine.home.middleware)

    @property
    def functions(self) -> list[Function[Any]]:
        """Every function created on this client, in order."""
        return list(self._functions.values())

    @property
    def function_count(self) -> int:
        """How many functions were created on this client."""
        return len(self._functions)

    def set_logger(self, logger: Any) -> None:
        """Log to another logger from the next line on."""
        self.logger = logger

    def add_middleware(self, middleware: Any) -> None:
        """Add a middleware behind those that are there. Acts on later calls."""
        _require_middleware([middleware])
        for function in self._functions.values():
            _require_fitting(function, [middleware])
        home = self.engine.home
        home.middleware = (*home.middleware, middleware)

    # ---- functions

    def create_function(
        self,
        *,
        batch_events: Batch | None = None,
        cancel: list[Cancel] | None = None,
        checkpoint: bool | Checkpoint | None = None,
        concurrency: list[Concurrency] | ConcurrencyByKind | None = None,
        debounce: Debounce | None = None,
        fn_id: str,
        idempotency: str | None = None,
        middleware: Sequence[Any] | None = None,
        name: str | None = None,
        on_failure: FailureHandler | None = None,
        output_type: object = EmptySentinel,
        priority: Priority | None = None,
        rate_limit: RateLimit | None = None,
        retries: int | None = None,
        throttle: Throttle | None = None,
        timeouts: Timeouts | None = None,
        singleton: Singleton | None = None,
        trigger: TriggerCron | TriggerEvent | list[TriggerCron | TriggerEvent],
    ) -> _Decorator:
        """
        Make a handler a function. The handler takes one argument, ``ctx``.

        checkpoint: report steps while the function goes on; None leaves it to the client.
        concurrency: limits of calls in progress, or ``{"fn": [...], "step": [...]}``, where
        fn limits runs. retries: 0 to 20, 4 unless given. on_failure: runs once the function has
        failed for good. Raises ConfigError naming the field and its rule.
        """
        opts = FunctionOpts(
            batch_events=batch_events,
            cancel=cancel,
            checkpoint=chosen_checkpoint(checkpoint, self.config.checkpoint),
            concurrency=concurrency,  # type: ignore[arg-type]  # validated into either form
            debounce=debounce,
            fn_id=fn_id,
            idempotency=idempotency,
            name=name or fn_id,
            priority=priority,
            rate_limit=rate_limit,
            retries=retries,
            singleton=singleton,
            throttle=throttle,
            timeouts=timeouts,
            triggers=trigger if isinstance(trigger, list) else [trigger],
        )
        _require_callable("on_failure", on_failure, optional=True)
        _require_middleware(middleware)

        def build(handler: Callable[[Any], Any]) -> Function[Any]:
            _require_callable("handler", handler)
            return self._add(
                Function(
                    config=FunctionConfig(f"{self.app_id}-{fn_id}", opts),
                    handler=handler,
                    on_failure=on_failure,
                    output_type=output_type,
                    middleware=tuple(middleware or ()),
                )
            )

        return _Decorator(build)

    def _add(self, function: Function[Any]) -> Function[Any]:
        _require_fitting(function, [*self.engine.home.middleware, *function.middleware])
        ids = _ids(function)
        for shared in filter(self._taken.__contains__, ids):
            raise ConfigError(
                f'fn_id: there are two functions "{shared}", {_place(self._taken[shared])} and '
                f"{_place(function)}; give one of them another id"
            )
        self._taken.update(dict.fromkeys(ids, function))
        self._functions[function.id] = function
        return function

    # ---- sending

    async def send(
        self,
        events: Event | list[Event],
        *,
        skip_middleware: bool = False,
        seed: EventSeed | None = None,
    ) -> list[str]:
        """
        Send events and return their ids.

        seed: makes the ids, which are known before then; None for a new one. Network
        errors and 5xx are retried, five attempts under one seed, so that no event is
        doubled. Raises SendEventsError with the ids that were accepted.
        """
        return await self.engine.arun(self._sending(events, skip_middleware, seed))

    def send_sync(
        self,
        events: Event | list[Event],
        *,
        skip_middleware: bool = False,
        seed: EventSeed | None = None,
    ) -> list[str]:
        """As ``send``, without a loop."""
        return self.engine.run(self._sending(events, skip_middleware, seed))

    def _sending(
        self, events: Event | list[Event], skip_middleware: bool, seed: EventSeed | None
    ) -> Flow[list[str]]:
        home = self.engine.home
        hooks = EMPTY if skip_middleware else home.pipeline()
        return send_events(home, events, hooks, surrounding_sessions(), seed)

    async def send_signal(self, signal: str, data: object = None) -> str | None:
        """
        Wake the run that waits for *signal*; its id, or None if no run does.

        data: any JSON value. Raises ConfigError before anything is sent, and
        ServerError if the server refuses it.
        """
        return await self.engine.arun(send_signal(self.engine.home, signal, data))

    def send_signal_sync(self, signal: str, data: object = None) -> str | None:
        """As ``send_signal``, without a loop."""
        return self.engine.run(send_signal(self.engine.home, signal, data))

    # ---- the end

    async def aclose(self) -> None:
        """Give back connections, threads and the background loop."""
        await self.engine.aclose()

    def close(self) -> None:
        """As ``aclose``, for programs without a loop."""
        self.engine.close()


def _own_logger(level: str | None) -> logging.Logger:
    """The logger of those who give none. level: of INNGEST_LOG_LEVEL, None to leave it."""
    logger = logging.getLogger("inngest")
    if level == "SILENT":
        logger.setLevel(logging.CRITICAL + 1)
    elif level is not None:
        logger.setLevel(level)
    return logger


def _require_callable(field: str, value: object, *, optional: bool = False) -> None:
    if not (callable(value) or (optional and value is None)):
        raise ConfigError(f"{field}: expected a function, got {type(value).__name__}")


def _require_list(field: str, value: object) -> None:
    if value is not None and not isinstance(value, (list, tuple)):
        raise ConfigError(f"{field}: expected a list, got {type(value).__name__}")


def _require_serializer(serializer: object) -> None:
    if serializer is not None and not isinstance(serializer, Serializer):
        raise ConfigError(
            "serializer: expected an object with the methods serialize and deserialize, got "
            f"{type(serializer).__name__}"
        )


def _require_middleware(middleware: Sequence[Any] | None) -> None:
    _require_list("middleware", middleware)
    for index, one in enumerate(middleware or ()):
        if not (callable(one) or has_hook(one)):
            raise ConfigError(
                f"middleware[{index}]: expected a class, a factory or an instance with at least "
                f"one of the hooks, got {type(one).__name__}"
            )


def _require_fitting(function: Function[Any], middleware: Sequence[Any]) -> None:
    """Refuse async middleware where the code is blocking: nothing there could await it."""
    code = {"function": function.handler, "failure handler": function.on_failure}
    blocking = [what for what, handler in code.items() if handler and not is_async(handler)]
    hooks = filter(None, map(async_hook, middleware if blocking else ()))
    for hook in hooks:
        raise ConfigError(
            f"{function.id}: middleware {hook} is async, but the {blocking[0]} is blocking; "
            "write it as a plain def, or derive from MiddlewareSync"
        )


def _ids(function: Function[Any]) -> list[str]:
    """The ids under which a function is served: its failure handler has one of its own."""
    return [found for found in (function.id, function.on_failure_fn_id) if found]


def _place(function: Function[Any]) -> str:
    code = getattr(function.handler, "__code__", None)
    if code is None:
        return repr(function.handler)
    return f"{code.co_filename}:{code.co_firstlineno}"
