"""The official package's side of the memory benchmark."""

from __future__ import annotations

from typing import Any

import inngest
from inngest._internal import comm_lib, server_lib

from .memory_calls import URL, Call, functions, watching


def official_side(kind: str) -> Any:
    """How the official package answers a call."""
    client = inngest.Inngest(
        app_id="bench",
        is_production=False,
        middleware=[watching(inngest)],
        serializer=inngest.PydanticSerializer(),
    )
    handler = comm_lib.CommHandler(
        client=client,
        enable_unauthed_sync=None,
        framework=server_lib.Framework.FLASK,
        functions=functions(inngest, client, kind),
        streaming=None,
    )

    async def answer(one: Call) -> int:
        return (await handler.post(request(one))).status_code

    return answer if kind == "async" else lambda one: handler.post_sync(request(one)).status_code


def request(one: Call) -> Any:
    return comm_lib.CommRequest(
        body=one.body,
        headers={"content-type": "application/json"},
        public_path=None,
        query_params=one.query,
        raw_request=None,
        request_url=URL,
        serve_origin=None,
        serve_path=None,
    )
