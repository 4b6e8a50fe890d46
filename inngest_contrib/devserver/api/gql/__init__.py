"""
GraphQL, as pages and test helpers of the Inngest Dev Server ask it: `POST /v0/gql`.

What needs the GraphQL library is imported at the first question. A reply has always the status
200; what went wrong stands in `errors`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_object
from inngest_contrib.devserver.api.replies import ApiError, reply

_MISSING = "GraphQL needs graphql-core, which is not installed: pip install 'inngest-core[dev]'"


async def answer(api: Api, request: Request) -> Response:
    """POST /v0/gql: answer a question, or make a change."""
    try:
        asked = await read_object(request)
    except ApiError as error:
        return _refuse(str(error))
    query, variables = asked.get("query"), asked.get("variables") or {}
    operation = asked.get("operationName") or None
    if not isinstance(query, str) or not query.strip():
        return _refuse("query is missing: it holds the question, as a text")
    if not isinstance(variables, dict) or not isinstance(operation, str | None):
        return _refuse("variables must be an object and operationName a text")
    try:
        from inngest_contrib.devserver.api.gql.execution import execute
    except ImportError:
        return _refuse(_MISSING)
    return reply(await execute(api, query, variables, operation))


def _refuse(message: str) -> Response:
    return reply({"errors": [{"message": message}], "data": None})
