"""
CommHandler: the one door between a framework and everything behind it.

A blocking function on a loop runs in a thread of the pool, an async function on
a blocking server on the client's background loop. All four ways run the same
flow and answer with the same bytes.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..context import enter, new_context
from ..errors import ConfigError, SigningKeyMissingError
from ..flow.call import METHODS, answer, refuse_method
from ..flow.site import DEFAULT_MAX_BODY, Served, Site, complete_origin
from ..function import Function, is_async
from ..plugin.types import Framework
from ..wire.http import CommRequest, CommResponse
from ..wire.names import Header, Query, Streaming
from ..wire.register import FunctionConfig, failure_config
from ..wire.signing import hash_signing_key
from .streaming import streamed

if TYPE_CHECKING:
    from ..client import Inngest
    from ..flow.effect import Flow
    from ..net.background import Wait

ToThread = Callable[..., Awaitable[Any]]


class CommHandler:
    """
    Answers the requests of the Inngest server for some functions of a client.

    functions: None serves everything created on the client, also what is created
    later. framework: the adapter, or its name on the wire. max_body: bytes. streaming: only
    acts on ``answer``. to_thread: awaited with a function and its argument, runs a blocking
    function in a thread of the framework's choice. trusted: requests come over a connection of
    our own to the server, and need no signature. wait: what the thread that asks does
    while an async function runs on the background loop; is given what starts the function and
    returns a future, and returns its result.
    """

    def __init__(
        self,
        *,
        client: Inngest,
        framework: Framework | str,
        functions: Sequence[Function[Any]] | None = None,
        enable_unauthed_sync: bool | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        public_path: str | None = None,
        serve_origin: str | None = None,
        serve_path: str | None = None,
        streaming: Streaming | None = None,
        to_thread: ToThread | None = None,
        trusted: bool = False,
        wait: Wait | None = None,
    ) -> None:
        config = client.config
        self._streaming = (streaming or config.streaming) is Streaming.FORCE
        self._client = client
        self._functions = None if functions is None else list(functions)
        self._known = -1
        self._engine = client.engine
        self._to_thread = to_thread
        self._wait = wait
        self._site = Site(
            home=client.engine.home,
            framework=framework.name if isinstance(framework, Framework) else framework,
            functions={},
            new_context=new_context,
            enter_step_context=enter,
            serve_origin=complete_origin(serve_origin) if serve_origin else None,
            serve_path=serve_path,
            public_path=public_path,
            enable_unauthed_sync=(
                config.enable_unauthed_sync
                if enable_unauthed_sync is None
                else enable_unauthed_sync
            ),
            max_body=max_body,
            trusted=trusted,
        )
        self._refresh()

    @property
    def configs(self) -> list[FunctionConfig]:
        """What every function registers, failure handlers included."""
        self._refresh()
        return self._site.configs

    def blocks(self, function_id: str) -> bool | None:
        """Whether the function of this id is blocking; None if none has it."""
        self._refresh()
        served = self._site.functions.get(function_id)
        return None if served is None else served.blocking

    @property
    def max_body(self) -> int:
        """The largest body, in bytes, that is worth reading."""
        return self._site.max_body

    def require_key(self) -> None:
        """Raise where no request could be answered: no signing key, or a malformed one."""
        config = self._client.config
        if config.is_production and not config.signing_key:
            raise SigningKeyMissingError()
        for key in config.signing_keys if config.is_production else ():
            hash_signing_key(key)

    async def answer(self, request: CommRequest) -> CommResponse:
        """The reply to a request, from a running loop."""
        if request.method not in METHODS:
            if request.method == "HEAD":
                return _head(await self.answer(replace(request, method="GET")))
            return refuse_method(request.method)
        self._refresh()
        blocking = self._blocking(request)
        if self._streaming and blocking is not None:
            lost = functools.partial(self._tell_of_lost_reply, request)
            return streamed(self._answer(request, blocking), self._site.headers, lost)
        return await self._answer(request, blocking)

    async def _answer(self, request: CommRequest, blocking: bool | None) -> CommResponse:
        flow = answer(self._site, request)
        try:
            if blocking:
                return await self._in_thread(flow)
            return await self._engine.arun(flow)
        except asyncio.CancelledError:
            if blocking is not None:
                self._tell_of_lost_reply(request)
            raise

    async def _in_thread(self, flow: Flow[CommResponse]) -> CommResponse:
        if self._to_thread is None:
            return await self._engine.run_in_thread(flow)
        response: CommResponse = await self._to_thread(self._engine.run, flow)
        return response

    def _tell_of_lost_reply(self, request: CommRequest) -> None:
        self._client.logger.warning(
            "%s, run %s: whoever called has gone before there was a reply; what has run in "
            "this call will run again",
            request.query.get(Query.FUNCTION_ID),
            request.headers.get(Header.RUN_ID, "unknown"),
        )

    def answer_sync(self, request: CommRequest) -> CommResponse:
        """The reply to a request, in this thread."""
        if request.method not in METHODS:
            if request.method == "HEAD":
                return _head(self.answer_sync(replace(request, method="GET")))
            return refuse_method(request.method)
        self._refresh()
        flow = answer(self._site, request)
        if self._blocking(request) is False:
            return self._engine.run_in_background(flow, self._wait)
        return self._engine.run(flow)

    def _blocking(self, request: CommRequest) -> bool | None:
        """Whether the request runs a blocking function; None if it runs none."""
        if request.method != "POST":
            return None
        return self.blocks(request.query.get(Query.FUNCTION_ID, ""))

    def _refresh(self) -> None:
        """Serve what is on the client now: functions may be created after the endpoint."""
        count = self._client.function_count if self._functions is None else len(self._functions)
        if count != self._known:
            self._known = count
            functions = self._client.functions if self._functions is None else self._functions
            self._site.functions = _served(functions)


def _head(response: CommResponse) -> CommResponse:
    """The reply to a HEAD: as to a GET, and without its body."""
    headers = {**response.headers, "content-length": str(len(response.body))}
    return CommResponse(response.status, headers, b"")


def _served(functions: Sequence[Function[Any]]) -> dict[str, Served]:
    """Every function by its id, failure handlers included."""
    found: dict[str, Served] = {}
    for function in functions:
        if not isinstance(function, Function):
            raise ConfigError(
                f"functions: expected what create_function returned, got {type(function).__name__}"
            )
        for served in _with_failure(function):
            if served.config.id in found:
                raise ConfigError(f'functions: "{served.config.id}" is served twice')
            found[served.config.id] = served
    return found


def _with_failure(function: Function[Any]) -> list[Served]:
    # Client middleware is looked up at every call: some may be added later.
    own = Served(
        config=function.config,
        function=function,
        handler=function.handler,
        blocking=not function.is_handler_async,
        output_type=function.output_type,
        middleware=function.middleware,
    )
    if function.on_failure is None:
        return [own]
    failure = Served(
        config=failure_config(function.config),
        function=function,
        handler=function.on_failure,
        blocking=not is_async(function.on_failure),
        # The output_type is of the function; what its failure handler returns is any value.
        output_type=object,
        middleware=function.middleware,
    )
    return [own, failure]
