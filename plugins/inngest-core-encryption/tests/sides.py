"""
The two packages behind one face: calls in, replies out, as bytes.

The official one has no public door for that; its own adapters use this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import inngest
import inngest_core
from inngest._internal import comm_lib, server_lib
from inngest_core.wire.ids import hash_step

URL = "http://127.0.0.1:8000/api/inngest"
RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"

Reply = tuple[int, dict[str, str], bytes]
Define = Callable[[Any], Mapping[str, Callable[[Any], Any]]]


class Ours:
    """A client of ours with functions on it."""

    package: Any = inngest_core

    def __init__(self, handlers: Mapping[str, Callable[[Any], Any]], **options: Any) -> None:
        self.client = inngest_core.Inngest(
            **{"app_id": "shop", "is_production": False, "middleware": [], **options}
        )
        for fn_id, handler in handlers.items():
            trigger = inngest_core.TriggerEvent(event=f"shop/{fn_id}")
            self.client.create_function(fn_id=fn_id, trigger=trigger, retries=0)(handler)
        self._door = inngest_core.CommHandler(client=self.client, framework="flask")

    def answer(
        self, method: str, url: str, headers: dict[str, str], query: dict[str, str], body: bytes
    ) -> Reply:
        request = inngest_core.CommRequest(method, url, headers, query, body)
        response = self._door.answer_sync(request)
        return response.status, dict(response.headers), response.body


class Official:
    """The same of the official package."""

    package: Any = inngest

    def __init__(self, handlers: Mapping[str, Callable[[Any], Any]], **options: Any) -> None:
        self.client = inngest.Inngest(
            **{"app_id": "shop", "is_production": False, "middleware": [], **options}
        )
        functions = [
            self.client.create_function(
                fn_id=fn_id, trigger=inngest.TriggerEvent(event=f"shop/{fn_id}"), retries=0
            )(handler)
            for fn_id, handler in handlers.items()
        ]
        self._door = comm_lib.CommHandler(
            client=self.client,
            enable_unauthed_sync=None,
            framework=server_lib.Framework.FLASK,
            functions=functions,
            streaming=None,
        )

    def answer(
        self, method: str, url: str, headers: dict[str, str], query: dict[str, str], body: bytes
    ) -> Reply:
        request = comm_lib.CommRequest(
            body=body,
            headers=headers,
            public_path=None,
            query_params=query,
            raw_request=None,
            request_url=url,
            serve_origin=None,
            serve_path=None,
        )
        response = self._door.post_sync(request)
        text = json.dumps(response.body)
        return response.status_code, dict(response.headers), text.encode()


def play(
    side: Any,
    *,
    data: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    fn_id: str = "f",
    name: str = "shop/f",
    **ctx: Any,
) -> tuple[int, Any]:
    """Let a side answer one call; status and document. steps: memos by the ids of steps."""
    memos = {hash_step(step): memo for step, memo in (steps or {}).items()}
    event = {"data": dict(data or {}), "id": "e", "name": name, "ts": 1}
    doc = {
        "ctx": {
            "attempt": 0,
            "disable_immediate_execution": False,
            "run_id": RUN,
            "stack": {"current": len(memos), "stack": list(memos)},
            "use_api": False,
            **ctx,
        },
        "event": event,
        "events": [event],
        "steps": memos,
        "use_api": False,
    }
    query = {"fnId": f"shop-{fn_id}", "stepId": "step"}
    headers = {"content-type": "application/json"}
    status, _, body = side.answer("POST", URL, headers, query, json.dumps(doc).encode())
    return status, json.loads(body)
