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
    OutputUnserializableError,
    QueryError,
    RequestError,
    ServerError,
    SignatureError,
    SigningKeyMissingError,
)
from ..execution.machine import Machine
from ..execution.op import Op
from ..execution.reply import (
    Reply,
    error_reply,
    fail,
    json_reply,
    ops_reply,
    retry_after_header,
    value_reply,
)
from ..plugin.types import StepMemos, TransformOutputResult, TransformOutputStepInfo
from ..result import Err, Ok
from ..types import EmptySentinel
from ..wire.call import CallRequest, parse_call, parse_events, parse_steps
from ..wire.http import CommRequest, CommResponse, HttpResponse
from ..wire.names import Header, Opcode, Query, SyncKind
from ..wire.signing import sign, verify
from . import inspect, register
from .effect import Call, Flow
from .fetch import fetch
from .pipeline import assemble, each
from .site import Served, Site
from .step import Running

_PROBE_TRUST = "trust"
_UNAUTHORIZED = "Unauthorized"
_EXECUTED = (Opcode.STEP_RUN, Opcode.STEP_ERROR, Opcode.STEP_FAILED)


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
    message = f"method {method} is not supported; the endpoint answers GET, POST and PUT"
    reply = json_reply(405, {"code": "method_not_allowed", "message": message})
    return CommResponse(405, {**reply.headers, "allow": "GET, POST, PUT"}, reply.body)


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
    if not config.is_production:
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
    running = Running(site.home, machine, call, pipeline)
    context = site.new_context(running, call, served)
    try:
        since = perf_counter()
        yield from each(pipeline.transform_input, context, served.function, StepMemos(call.steps))
        timings.add("mw.transform_input", since)
        if not machine.unasked:
            yield from running.wake()
        outcome = yield from _execute(site, served, running, context, timings)
    finally:
        # Even where a before-hook failed, those behind the code may clean up.
        yield from each(pipeline.after_execution)
    since = perf_counter()
    reply = yield from _reply(site, served, running, outcome)
    timings.add("mw.transform_output", since)
    yield from each(pipeline.before_response)
    return reply


def _execute(
    site: Site, served: Served, running: Running, context: Any, timings: Timings
) -> Flow[Any]:
    """Run the user's code; its outcome, whether or not the call was decided meanwhile."""
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
    return outcome


def _warn_of_unasked(site: Site, served: Served, machine: Machine) -> None:
    if machine.never_asked:
        site.home.logger.warning(
            "%s ended without asking for %d of its steps that had run; its code has "
            "probably changed since this run began",
            served.config.id,
            machine.never_asked,
        )


def _reply(site: Site, served: Served, running: Running, outcome: Any) -> Flow[Reply]:
    machine = running.machine
    if machine.failure is not None:
        outcome = Err(machine.failure)
    elif machine.decided:
        yield from _transform_ops(running)
        _log(site, running.step_error)
        return _sent(site, ops_reply, machine.ops, retry_after_header(running.step_error))
    result = _final_result(running, served, outcome)
    yield from each(running.pipeline.transform_output, result)
    if result.error is not None:
        _log(site, result.error)
        return error_reply(result.error)
    return _sent(site, value_reply, result.output if result.has_output() else None)


def _sent(site: Site, reply: Callable[..., Reply], *args: Any) -> Reply:
    """The reply; where a value in it is not JSON, the error that says so, and the reason logged."""
    try:
        return reply(*args)
    except OutputUnserializableError as error:
        _log(site, error)
        return error_reply(error)


def _final_result(running: Running, served: Served, outcome: Any) -> TransformOutputResult:
    if isinstance(outcome, Ok):
        codec = running.codec
        typ = codec.type_of(served.handler, served.output_type)
        try:
            return TransformOutputResult(None, codec.dump(outcome.value, typ), None)
        except InngestError as error:
            return TransformOutputResult(error, EmptySentinel, None)
    return TransformOutputResult(outcome.error, EmptySentinel, None)


def _transform_ops(running: Running) -> Flow[None]:
    """Let middleware see every op that goes out, but those that are only planned."""
    hooks = running.pipeline.transform_output
    if not hooks:
        return
    for op in running.machine.ops:
        if op.code is not Opcode.PLANNED:
            result = _op_result(op, running.step_error)
            yield from each(hooks, result)
            _take_over(running, op, result)


def _op_result(op: Op, error: Exception | None) -> TransformOutputResult:
    finished = op.code is Opcode.STEP_RUN
    info = TransformOutputStepInfo(op.step_id, op.code, op.opts)
    return TransformOutputResult(error, op.data if finished else EmptySentinel, info)


def _take_over(running: Running, op: Op, result: TransformOutputResult) -> None:
    """Let what middleware left of a result be what is sent."""
    op.opts = result.step.opts if result.step else op.opts
    if op.code not in _EXECUTED:
        return
    if result.error is not None:
        running.step_error = result.error
        fail(op, result.error, running.request)
    elif result.has_output():
        running.step_error = None
        op.code, op.data, op.error = Opcode.STEP_RUN, result.output, None


def _log(site: Site, error: BaseException | None) -> None:
    if error is not None and not getattr(error, "quiet", False):
        site.home.logger.error("%s: %s", type(error).__name__, error, exc_info=error)
