"""
Requests that the server makes for a function: `Gateway` (any) and `AIGateway` (to a model).

A request is part of the job that asked for it. If it fails, that job is tried again as a new
attempt, and the function asks again; after the last attempt the error is the step's memo.
Law: what signs a request (keys, tokens) is neither stored nor shown: hiding.py stands between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote

from inngest_contrib.devserver.engine import pauses, queue, retries, steps, terms, text
from inngest_contrib.devserver.engine.commands import Fetch, Fetched, FetchFailed, Json
from inngest_contrib.devserver.engine.demands import (
    BAD_OP,
    GaveUp,
    add_step,
    check_state,
    giving_up,
    text_of,
)
from inngest_contrib.devserver.engine.hiding import hide_secrets
from inngest_contrib.devserver.engine.limits import MAX_STEP_OUTPUT
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import (
    Attempt,
    Fetching,
    Job,
    Run,
    Status,
    Step,
    Wait,
    WaitKind,
)
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.names import Opcode

_FRAMING = ("connection", "content-length", "transfer-encoding")
"""Headers that belong to the connection; a function cannot set them."""
_SENT_DECODED = ("content-encoding", "content-length")
"""Headers that no longer fit a body that came compressed."""


@dataclass(slots=True, frozen=True)
class _Verdict:
    """What came of a request: a memo, or an error and whether it is worth another attempt."""

    memo: bytes = b""
    error: Mapping[str, Json] | None = None
    final: bool = False
    retry_after: str | None = None


def begin(turn: Turn, job: Job, op: Op) -> bool:
    """Make the request of an op."""
    request = _read_ai(op) if op.code is Opcode.AI_GATEWAY else _read(op)
    step = add_step(turn, job, op)
    if step is None:
        return False
    step.op = op.code.value
    step.opts = text.write(hide_secrets(op.opts))
    step.status = Status.RUNNING
    step.started_at = turn.now if step.started_at is None else step.started_at
    step.attempts = job.attempt + 1
    turn.changes.keep(step)
    _send(turn, job, step, request)
    return True


def _send(turn: Turn, job: Job, step: Step, request: _Request) -> None:
    """Let a request out. What is stored of it says only which job to repeat after a restart."""
    timeout = turn.settings.call_timeout
    waiting = Wait(job.run, step, WaitKind.FETCH, turn.now + timeout, event=job.step)
    job.run.waits[step.id] = waiting
    turn.changes.keep(waiting)
    fetch_id = turn.ids.job()
    terms.hold(turn, job.run, _place_of(job))
    turn.state.fetches[fetch_id] = Fetching(job, waiting, job.attempt, turn.now)
    turn.effects.append(
        Fetch(fetch_id, request.method, request.url, request.headers, request.body, timeout)
    )


def reissue(turn: Turn, run: Run, step: Step, asked_by: str) -> None:
    """A restart has cut a request off: make the call that asked for it once more."""
    turn.changes.drop(Wait(run, step, WaitKind.FETCH, 0))
    if asked_by not in run.jobs:
        queue.enqueue(turn, run, asked_by)
        job = run.jobs[asked_by]
        job.attempt = max(step.attempts - 1, 0)
        job.generation = job.attempt + 1


def take(turn: Turn, command: Fetched | FetchFailed) -> None:
    """A request has ended. Nobody waits for it any more if its run has."""
    fetching = turn.state.fetches.pop(command.fetch_id, None)
    if fetching is None:
        return
    _free_place(turn, fetching.job)
    run, step = fetching.job.run, fetching.waiting.step
    if run.ended_at is not None:
        return
    pauses.release(turn, fetching.waiting)
    verdict = _judge(step, command)
    with giving_up(turn, run):
        if verdict.error is not None:
            _fail(turn, fetching, verdict)
            return
        check_state(run, len(verdict.memo))
        steps.end(turn, run, step, verdict.memo)


def _place_of(job: Job) -> str:
    """By which the requests of a job hold its place: other calls wait as if it were still going."""
    return f"{job.id}/requests"


def _free_place(turn: Turn, job: Job) -> None:
    if all(other.job.id != job.id for other in turn.state.fetches.values()):
        terms.end_call(turn, _place_of(job))


def _fail(turn: Turn, fetching: Fetching, verdict: _Verdict) -> None:
    job, step = fetching.job, fetching.waiting.step
    last = verdict.final or fetching.attempt + 1 >= job.run.max_attempts
    retry_at = None if last else retries.next_try(turn, fetching.attempt, verdict.retry_after)
    turn.changes.keep(
        Attempt(
            run_id=job.run.id,
            step_id=step.id,
            job_id=job.id,
            attempt=fetching.attempt,
            started_at=fetching.started_at,
            ended_at=turn.now,
            error=text.write(verdict.error),
            retry_at=retry_at,
        )
    )
    if retry_at is not None:
        _ask_again(turn, fetching, retry_at)
        return
    memo = text.write({"error": verdict.error})
    check_state(job.run, len(memo))
    steps.end(turn, job.run, step, memo, failed=True)


def _ask_again(turn: Turn, fetching: Fetching, at: int) -> None:
    """Try the job again, unless another already asks the same."""
    job = fetching.job
    other = job.run.jobs.get(job.step)
    if other is None:
        job = replace(job, attempt=fetching.attempt, timer=None)
        job.run.jobs[job.step] = job
        queue.try_again(turn, job, at)
    elif other.calling:
        # The call on its way may not know that this step has still to be done.
        other.again = True


# --- the request ----------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class _Request:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def _read(op: Op) -> _Request:
    body = op.opts.get("body")
    return _Request(
        method=(text_of(op, "method") or "POST").upper(),
        url=_url_of(op),
        headers=_headers_of(op),
        body=text_of(op, "body").encode(errors="replace") if body is not None else None,
    )


def _read_ai(op: Op) -> _Request:
    url, headers = sign_in(_url_of(op), format=text_of(op, "format"), key=_key_of(op))
    return _Request(
        method="POST",
        url=url,
        headers={"content-type": "application/json", **headers, **_headers_of(op)},
        body=text.write(op.opts.get("body")),
    )


def sign_in(url: str, *, format: str, key: str) -> tuple[str, dict[str, str]]:
    """Say who asks, in the way of a provider; give the URL and the headers."""
    if not key:
        return url, {}
    if format == "anthropic":
        return url, {"x-api-key": key}
    if format == "gemini":
        return _with_key(url, key), {}
    if format == "bedrock":
        return url, {"authorization": key}
    return url, {"authorization": f"Bearer {key}"}


def _with_key(url: str, key: str) -> str:
    head, hash_mark, fragment = url.partition("#")
    query = head.partition("?")[2]
    if any(name == "key" for name, _ in parse_qsl(query, keep_blank_values=True)):
        return url
    joint = "" if head.endswith(("?", "&")) else "&" if query else "?"
    return f"{head}{joint}key={quote(key, safe='')}{hash_mark}{fragment}"


def _key_of(op: Op) -> str:
    key = op.opts.get("auth_key")
    if key is None or isinstance(key, str):
        return key or ""
    raise GaveUp(BAD_OP, f'{op.code.value} "{op.name}": opts.auth_key must be text')


def _url_of(op: Op) -> str:
    url = text_of(op, "url")
    if not url:
        raise GaveUp(BAD_OP, f'{op.code.value} "{op.name}" has no opts.url.')
    return url


def _headers_of(op: Op) -> dict[str, str]:
    headers = op.opts.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
        raise GaveUp(
            BAD_OP,
            f'{op.code.value} "{op.name}": opts.headers must be an object whose values are texts',
        )
    named = {str(name).lower(): value for name, value in headers.items()}
    return {name: value for name, value in named.items() if name not in _FRAMING}


# --- the answer -----------------------------------------------------------------------------


def _judge(step: Step, command: Fetched | FetchFailed) -> _Verdict:
    ai = step.op == Opcode.AI_GATEWAY
    if isinstance(command, FetchFailed):
        error = _error(command.error, ai=ai)
        return _Verdict(error=error, final=command.final)
    verdict = _judge_provider(command) if ai else _Verdict(memo=_describe(command))
    if len(verdict.memo) > MAX_STEP_OUTPUT:
        problem = f"the answer is larger than a step may return ({MAX_STEP_OUTPUT} bytes)"
        return _Verdict(error=_error(problem, ai=ai), final=True)
    return verdict


def _error(problem: str, *, ai: bool) -> dict[str, Json]:
    if ai:
        return {"name": "AIGatewayError", "message": f"Error making AI request: {problem}"}
    return {"name": "GatewayError", "message": f"Error making gateway request: {problem}"}


def _describe(answer: Fetched) -> bytes:
    """The memo of a fetch: the response, whatever its status."""
    return text.write(
        {
            "data": {
                "url": answer.url,
                "status_code": answer.status,
                "headers": _join_headers(answer.headers),
                "body": answer.body.decode(errors="replace"),
            }
        }
    )


def _join_headers(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    compressed = any(name.lower() == "content-encoding" for name, _ in headers)
    for raw_name, value in headers:
        if compressed and raw_name.lower() in _SENT_DECODED:
            continue
        name = "-".join(part.capitalize() for part in raw_name.split("-"))
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _judge_provider(answer: Fetched) -> _Verdict:
    body = answer.body.decode(errors="replace")
    try:
        value: Json = text.read(answer.body)
    except ValueError:
        value = None
    if answer.status > 299:
        problem = f"unsuccessful status code: {answer.status}"
    elif value is None:
        problem = "the provider's answer is not JSON"
    else:
        return _Verdict(memo=text.write({"data": value}))
    data = {} if value is None else {"data": value}
    error = {**_error(problem, ai=True), **data, "stack": body}
    wait = next((v for name, v in answer.headers if name.lower() == "retry-after"), None)
    return _Verdict(error=_bounded(error), retry_after=wait)


def _bounded(error: dict[str, Json]) -> dict[str, Json]:
    if len(text.write(error)) <= MAX_STEP_OUTPUT:
        return error
    return {key: error[key] for key in ("name", "message")}
