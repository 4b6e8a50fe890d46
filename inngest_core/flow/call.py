"""
The story of a request from the server: checked, answered, signed.

Whatever is raised on the way becomes a reply in one place, ``answer``.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any
from urllib.parse import quote

from ..errors import (
    BodyError,
    FunctionNotFoundError,
    InngestError,
    QueryError,
    RequestError,
    ServerError,
    SignatureError,
    SigningKeyMissingError,
)
from ..execution.machine import Machine
from ..execution.reply import Reply, error_reply, json_reply
from ..plugin.types import StepMemos
from ..result import Err, Ok, Outcome, Paused
from ..wire.call import CallRequest, parse_call, parse_events, parse_steps
from ..wire.http import CommRequest, CommResponse, HttpResponse
from ..wire.names import Header, Query, SyncKind
from ..wire.signing import sign, verify
from . import inspect, register
from .checkpoint import flush, new_checkpoints
from .cipher import open_call
from .effect import Call, Flow
from .fetch import fetch
from .onion import surround
from .outcome import reply_to
from .pipeline import assemble, each
from .running import Running
from .site import Served, Site
from .sizes import warn_of_reply, warn_of_state

_PROBE_TRUST = "trust"
_UNAUTHORIZED = "Unauthorized"


class Timings:
    """How long the parts of a request took, for the Server-Timing header."""

    __slots__ = ("_parts", "_started")

    def __init__(self) -> None:
        self._started = perf_counter()
        self._parts: list[str] = []

    def add(self, name: str, since: float) -> None:
        self.put(name, perf_counter() - since)

    def put(self, name: str, seconds: float) -> None:
        """Put down what *name* took."""
        self._parts.append(f"{name};dur={round(seconds * 1000)}")

    def header(self) -> str:
        whole = round((perf_counter() - self._started) * 1000)
        return ", ".join([f"comm_handler;dur={whole}", *self._parts])


def answer(site: Site, request: CommRequest) -> Flow[CommResponse]:
    """The reply to any request that an adapter was handed."""
    timings = Timings()
    key: str | None = None
    try:
        _check_size(site, request)
        key = _authenticate(site, request)
        reply = yield from _METHODS[request.method](site, request, key, timings)
    except SignatureError as error:
        site.home.logger.warning("refused a request: %s", error)
        body = {"code": error.code, "message": _UNAUTHORIZED}
        unauthorized = json_reply(error.status, body)
        return CommResponse(unauthorized.status, unauthorized.headers, unauthorized.body)
    except RequestError as error:
        reply = json_reply(error.status, _refusal(error), _retry(error))
    except InngestError as error:
        reply = error_reply(error)
    except Exception as error:
        site.home.logger.exception("answering a request failed")
        reply = error_reply(error)
    return _respond(site, reply, key, timings)


def refuse_method(method: str) -> CommResponse:
    """The reply to a method that the endpoint does not know."""
    message = f"method {method} is not supported; the endpoint answers GET, HEAD, POST and PUT"
    reply = json_reply(405, {"code": "method_not_allowed", "message": message})
    return CommResponse(405, {**reply.headers, "allow": "GET, HEAD, POST, PUT"}, reply.body)


def _check_size(site: Site, request: CommRequest) -> None:
    if len(request.body) > site.max_body:
        error = BodyError(
            f"the body has {len(request.body)} bytes; this endpoint reads at most {site.max_body}",
            code="body_too_large",
        )
        error.status = 413
        raise error


def _authenticate(site: Site, request: CommRequest) -> str | None:
    """The key that signed the request, or None where none is needed."""
    config = site.home.config
    if site.trusted or not config.is_production:
        return None
    if not config.signing_key:
        raise SigningKeyMissingError()
    header = request.headers.get(Header.SIGNATURE)
    if header is None and _may_be_unsigned(site, request):
        return None
    return verify(header, request.body, config.signing_keys, site.home.clock())


def _may_be_unsigned(site: Site, request: CommRequest) -> bool:
    # An out-of-band PUT only triggers a registration with our own key.
    in_band = request.headers.get(Header.SYNC_KIND) == SyncKind.IN_BAND.value
    return request.method == "PUT" and site.enable_unauthed_sync and not in_band


def _refusal(error: RequestError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "name": error.name}


def _retry(error: RequestError) -> dict[str, str]:
    return {Header.NO_RETRY: "false"} if error.status >= 500 else {}


def _respond(site: Site, reply: Reply, key: str | None, timings: Timings) -> CommResponse:
    headers = {**site.headers, **reply.headers, Header.SERVER_TIMING: timings.header()}
    if key is not None:
        headers[Header.SIGNATURE] = sign(key, reply.body, int(site.home.clock()))
    return CommResponse(reply.status, headers, reply.body)


# ---- by method


def _get(site: Site, request: CommRequest, key: str | None, timings: Timings) -> Flow[Reply]:
    return inspect.get(site, request, signed=key is not None)
    yield  # a flow like the others


def _put(site: Site, request: CommRequest, key: str | None, timings: Timings) -> Flow[Reply]:
    reply = yield from register.put(site, request, signed=key is not None)
    return reply


def _post(site: Site, request: CommRequest, key: str | None, timings: Timings) -> Flow[Reply]:
    probe = request.query.get(Query.PROBE)
    if probe is not None:
        return _probe(probe)
    call = parse_call(request.body, request.query)
    served = find(site, call.function_id)
    if call.use_api:
        since = perf_counter()
        yield from _complete(site, call)
        timings.add("use_api", since)
    if site.home.sealer is not None:
        open_call(site.home.sealer, call)
    reply = yield from _run(site, served, call, request, timings)
    return reply


_METHODS: dict[str, Callable[[Site, CommRequest, str | None, Timings], Flow[Reply]]] = {
    "GET": _get,
    "POST": _post,
    "PUT": _put,
}
METHODS = frozenset(_METHODS)


def find(site: Site, function_id: str) -> Served:
    """The function of this id; FunctionNotFoundError if it is not served here."""
    served = site.functions.get(function_id)
    if served is None:
        raise FunctionNotFoundError(f"function {function_id} not found")
    return served


def _probe(probe: str) -> Reply:
    if probe != _PROBE_TRUST:
        raise QueryError(f'probe "{probe}" is not known; "trust" is', code="probe_unknown")
    return json_reply(200, None)


def _complete(site: Site, call: CallRequest) -> Flow[None]:
    """Fetch the memos and events that were too large for the body of the call."""
    path = f"/v0/runs/{quote(call.run_id, safe='')}/"
    steps = yield from fetch(site.home, "GET", path + "actions")
    warn_of_state(site.home.logger, call.function_id, len(steps.body))
    call.steps = parse_steps(_body_of(steps, "the memos"))
    events = yield from fetch(site.home, "GET", path + "batch")
    call.events = parse_events(_body_of(events, "the events"))


def _body_of(response: HttpResponse, what: str) -> bytes:
    if response.status != 200:
        raise ServerError(
            f"the server refused {what} of this run with status {response.status}: "
            f"{response.body[:200].decode(errors='replace')}"
        )
    return response.body


# ---- one call


def _run(
    site: Site, served: Served, call: CallRequest, request: CommRequest, timings: Timings
) -> Flow[Reply]:
    middleware = (*site.home.middleware, *served.middleware)
    pipeline = assemble(middleware, site.home.client, request.raw)
    machine = Machine(call, linear=served.blocking)
    checkpoints = new_checkpoints(served.config.opts.checkpoint, call, site.home, request.report)
    running = Running(site.home, machine, call, pipeline, checkpoints, request.headers)
    context = site.new_context(running, call, served)
    inner = _replay(site, served, running, context, timings)
    if pipeline.wrap_call:
        inner = surround(pipeline.wrap_call, (context, served.function), inner)
    outcome = yield from _flushed(running, inner) if checkpoints is not None else inner
    since = perf_counter()
    reply = yield from reply_to(served, running, outcome)
    timings.add("mw.transform_output", since)
    warn_of_reply(site.home.logger, call.function_id, machine.ops, reply)
    yield from each(pipeline.before_response)
    return reply


def _flushed(running: Running, inner: Flow[Outcome[Any]]) -> Flow[Outcome[Any]]:
    """The outcome of *inner*; what it raises, a cancellation too, loses no step that has ended."""
    try:
        return (yield from inner)
    except GeneratorExit:
        raise
    except BaseException:
        yield from flush(running.checkpoints, running.home)
        raise


def _replay(
    site: Site, served: Served, running: Running, context: Any, timings: Timings
) -> Flow[Outcome[Any]]:
    """The outcome of the code, and what middleware does around it."""
    pipeline, memos = running.pipeline, StepMemos(running.request.steps)
    try:
        since = perf_counter()
        yield from each(pipeline.transform_input, context, served.function, memos)
        timings.add("mw.transform_input", since)
        if not running.machine.unasked:
            yield from running.wake()
        return (yield from _execute(site, served, running, context, timings))
    finally:
        # Even where a before-hook failed, those behind the code may clean up.
        yield from each(pipeline.after_execution)


def _execute(
    site: Site, served: Served, running: Running, context: Any, timings: Timings
) -> Flow[Outcome[Any]]:
    """Run the user's code; its outcome, Paused where the call was decided meanwhile."""
    machine = running.machine
    leave_step_context = site.enter_step_context(context)
    since = perf_counter()
    effect = Call(served.handler, context, machine.settle, running.connect)
    try:
        outcome = yield effect
    finally:
        leave_step_context()
    timings.add("function", since)
    if effect.blocked is not None:
        timings.put("async_block", effect.blocked)
    if not machine.decided and isinstance(outcome, Ok):
        machine.end()
    if not machine.decided:
        yield from running.wake()
        _warn_of_unasked(site, served, machine)
    if machine.failure is not None:
        return Err(machine.failure)
    return Paused() if machine.decided else outcome


def _warn_of_unasked(site: Site, served: Served, machine: Machine) -> None:
    if machine.never_asked:
        site.home.logger.warning(
            "%s ended without asking for %d of its steps that had run; its code has "
            "probably changed since this run began",
            served.config.id,
            machine.never_asked,
        )
