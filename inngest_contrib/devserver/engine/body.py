"""
The call: its body, joined from texts that are kept ready, and its headers.

The body is canonical JSON without being written again: the keys below stand in sorted order,
and every part comes in canonical form.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inngest_contrib.devserver.engine.commands import Call, Target
from inngest_contrib.devserver.engine.limits import MAX_INLINE_STATE
from inngest_contrib.devserver.engine.state import Function, Job, Run
from inngest_contrib.devserver.engine.text import write_key
from inngest_contrib.devserver.engine.tracing import trace_headers
from inngest_contrib.devserver.engine.turn import Turn

ACCOUNT = "00000000-0000-4000-a000-000000000000"
HTTP_REQUEST = "inngest/http.request"
"""The event of a request that an app answers with a run."""
JSON = "application/json"
_WORD = {True: b"true", False: b"false"}


def build_call(turn: Turn, job: Job) -> Call:
    """The request that performs a job, as the run stands now."""
    request_id = turn.ids.ulid(turn.now)
    if is_endpoint(job.run):
        return _build_request(turn, job, request_id)
    return Call(
        job_id=job.id,
        run_id=job.run.id,
        url=_target(job.run.function.url, job.run.function.slug, job.step),
        headers=_headers(job, request_id),
        body=_body(job, request_id),
        timeout=turn.settings.call_timeout,
        target=_worker_target(job.run.function) if job.run.function.by_worker else None,
    )


def _worker_target(function: Function) -> Target:
    return Target(function.app_id, function.app_name, function.id, function.slug)


def is_endpoint(run: Run) -> bool:
    """Whether a run answers a request of the app's own: so it is called with that request."""
    return run.event.name == HTTP_REQUEST and not run.function.triggers


def _build_request(turn: Turn, job: Job, request_id: str) -> Call:
    """The request of an endpoint once more. What has ended the app asks for."""
    given = job.run.event.value["data"]
    query = f"?{given['query_params']}" if given.get("query_params") else ""
    headers = {**_headers(job, request_id), "content-type": given.get("content_type") or JSON}
    # The app knows a call by it, be it empty; whoever sends the call signs it where there is a key.
    headers["x-inngest-signature"] = ""
    if job.run.force_plan:
        headers["x-inngest-force-step-plan"] = "true"
    return Call(
        job_id=job.id,
        run_id=job.run.id,
        url=f"{given['domain'].rstrip('/')}{given.get('path') or '/'}{query}",
        headers=headers,
        body=b64decode(given.get("body") or ""),
        timeout=turn.settings.call_timeout,
        method=given["method"].upper(),
    )


def _target(url: str, slug: str, step: str) -> str:
    prefix = f"?fnId={slug}&stepId="
    base, found, _ = url.rpartition(prefix + "step")
    if found and slug.replace("-", "").isalnum() and step.isalnum():
        return f"{base}{prefix}{step}"
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.update(fnId=slug, stepId=step)
    return urlunsplit(parts._replace(query=urlencode(query, errors="replace")))


def _headers(job: Job, request_id: str) -> dict[str, str]:
    return {
        **trace_headers(job),
        "account-id": ACCOUNT,
        "content-type": "application/json",
        "user-agent": "Inngest",
        "x-inngest-generation-id": str(job.generation),
        "x-inngest-job-id": job.id,
        "x-inngest-req-version": str(job.run.request_version),
        "x-inngest-step-id": _header_safe(job.step),
        "x-request-id": request_id,
        "x-run-id": job.run.id,
    }


def _header_safe(step: str) -> str:
    # An SDK may choose any text as a step's id; a line break must not end up in a header.
    return step if step.isalnum() else "".join(c for c in step if " " <= c <= "~")


def _body(job: Job, request_id: str) -> bytes:
    run = job.run
    inline = run.memos.size + run.events_size <= MAX_INLINE_STATE
    api = _WORD[not inline]
    return b"".join(
        [
            _context(job, request_id, api),
            b',"defers":{',
            _defers(run),
            b'},"event":',
            run.event.full,
            b',"events":[',
            _events(run),
            b'],"steps":{',
            run.memos.joined() if inline else b"",
            b'},"use_api":%b,"version":%d}' % (api, run.request_version),
        ]
    )


def _defers(run: Run) -> bytes:
    return b",".join(
        [
            b'%b{"abortable":%b}' % (write_key(defer.id), _WORD[not defer.aborted])
            for _, defer in sorted(run.defers.items())
        ]
    )


def _events(run: Run) -> bytes:
    if len(run.events) == 1 and run.events_size <= MAX_INLINE_STATE:
        return run.event.full
    if run.events_size > MAX_INLINE_STATE:
        return b""
    return b",".join([event.full for event in run.events])


def _context(job: Job, request_id: str, api: bytes) -> bytes:
    run = job.run
    # Before the first reply, a call with a target begins a rerun: it is not part of a batch.
    plan = run.force_plan or not (job.discovers or run.request_version < 0)
    return (
        b'{"ctx":{"attempt":%d,"disable_immediate_execution":%b,"env":"","fn_id":"%b",'
        b'"generation_id":%d,"job_id":"%b","max_attempts":%d,"qi_id":"%b","request_id":"%b",'
        b'"run_id":"%b","stack":{"current":%d,"stack":[%b]},"step_id":"step","use_api":%b}'
    ) % (
        job.attempt,
        _WORD[plan],
        run.function.id.encode(),
        job.generation,
        job.id.encode(),
        run.max_attempts,
        b64encode(b"%b::default" % job.id.encode()),
        request_id.encode(),
        run.id.encode(),
        len(run.stack),
        b",".join(run.stack),
        api,
    )
