"""Questions to the Inngest server, and what its refusals are to users of the REST API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from rest_framework import status
from rest_framework.exceptions import APIException, NotFound

from inngest_core import InngestError, SendEventsError
from inngest_core.cli.api import Api, reason
from inngest_core.cli.failure import Failure

from ..project import project

_PASSED_ON = (
    status.HTTP_400_BAD_REQUEST,
    status.HTTP_409_CONFLICT,
    status.HTTP_501_NOT_IMPLEMENTED,
)


class ServerUnreachable(APIException):
    """The Inngest server gives no reply."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "server_unreachable"


class ServerRefused(APIException):
    """The Inngest server refuses what was asked of it."""

    status_code = status.HTTP_502_BAD_GATEWAY
    default_code = "server_refused"


def ask(method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
    """
    The document that a path of the server's API answers with.

    query: what is None or empty is left out. Raises NotFound, ServerRefused and
    ServerUnreachable.
    """
    given = {name: value for name, value in query.items() if value not in (None, "", [])}
    where = f"/v2{path}?{urlencode(given, doseq=True)}" if given else f"/v2{path}"
    with told():
        response = Api(project.client()).reply(
            method, where, b"" if body is None else json.dumps(body).encode()
        )
    if not 200 <= response.status < 300:
        raise _refusal(response.status, reason(response) or "The server gave no reason.")
    try:
        return json.loads(response.body)
    except ValueError as error:
        raise ServerRefused("The server's answer is no JSON; check API_BASE_URL.") from error


def run_path(run_id: str, *rest: str) -> str:
    """The path of a run, or of what belongs to it."""
    return "/".join(["/runs", quote(run_id, safe=""), *rest])


@contextmanager
def told() -> Iterator[None]:
    """Turn our errors into those of REST framework."""
    try:
        yield
    except Failure as error:
        raise ServerUnreachable(error.format_message()) from error
    except SendEventsError as error:
        raise ServerRefused(str(error)) from error
    except InngestError as error:
        refusal = APIException(str(error), code=error.code)
        if not error.retriable:
            refusal.status_code = status.HTTP_400_BAD_REQUEST
        raise refusal from error


def _refusal(code: int, said: str) -> APIException:
    if code == status.HTTP_404_NOT_FOUND:
        return NotFound(said)
    refusal = ServerRefused(said)
    if code in _PASSED_ON:
        # The type of the class attribute is the one number that it has there.
        vars(refusal)["status_code"] = code
    return refusal
