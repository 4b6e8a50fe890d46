"""
The call: its body, joined from texts that are kept ready, and its headers.

The body is canonical JSON without being written again: the keys below stand in sorted order,
and every part comes in canonical form.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inngest_contrib.devserver.engine.commands import Call
from inngest_contrib.devserver.engine.limits import MAX_INLINE_STATE
from inngest_contrib.devserver.engine.state import Job, Run
from inngest_contrib.devserver.engine.turn import Turn

ACCOUNT = "00000000-0000-4000-a000-000000000000"
_WORD = {True: b"true", False: b"false"}


def build_call(turn: Turn, job: Job) -> Call:
    """The request that performs a job, as the run stands now."""
    request_id = turn.ids.ulid(turn.now)
    return Call(
        job_id=job.id,
        run_id=job.run.id,
        url=_target(job.run.function.url, job.run.function.slug, job.step),
        headers=_headers(job, request_id),
        body=_body(job, request_id),
        timeout=turn.settings.call_timeout,
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
            b',"defers":{},"event":',
            run.event.full,
            b',"events":[',
            _events(run),
            b'],"steps":{',
            run.memos.joined() if inline else b"",
            b'},"use_api":%b,"version":%d}' % (api, run.request_version),
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
    plan = run.force_plan or not job.discovers
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
