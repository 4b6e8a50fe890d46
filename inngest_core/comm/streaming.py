"""
Streamed replies: spaces while the function works, then the whole reply as one JSON object.

The call runs in a task of its own; the stream only waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from ..execution.reply import dump
from ..wire.http import CommResponse

HEARTBEAT = b" "
HEARTBEAT_SECONDS = 3.0


def streamed(
    answering: Coroutine[Any, Any, CommResponse],
    headers: dict[str, str],
    lost: Callable[[], None],
) -> CommResponse:
    """
    A reply that starts at once and ends with what *answering* results in.

    lost: called where the client goes away before its end.
    """
    task = asyncio.get_running_loop().create_task(answering)
    return CommResponse(201, headers, b"", _watched(_chunks(task), lost))


async def _watched(chunks: AsyncIterator[bytes], lost: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except (GeneratorExit, asyncio.CancelledError):
        lost()
        raise


async def _chunks(task: asyncio.Task[CommResponse]) -> AsyncIterator[bytes]:
    yield HEARTBEAT
    while True:
        # wait() leaves the task alone where the client goes away.
        done, _ = await asyncio.wait({task}, timeout=HEARTBEAT_SECONDS)
        if done:
            break
        yield HEARTBEAT
    reply = task.result()
    # The body is JSON already: put in as it is, not dumped again as text.
    head = dump({"headers": reply.headers, "status": reply.status}).encode()
    yield b'{"body":' + reply.body + b"," + head[1:]
