"""
Warnings while there is time: at half of what the server accepts.

Beyond the limits a step's attempt, or the whole run, fails on the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..execution.op import Op
from ..execution.reply import Reply
from ..wire.names import MAX_REPLY_BYTES, MAX_STATE_BYTES, MAX_STEP_BYTES, Opcode

_REMEDY = (
    "Keep large values elsewhere and return where they are; inngest_contrib.remote_state does."
)


def warn_of_reply(logger: Any, function_id: str, ops: Sequence[Op], reply: Reply) -> None:
    """Say that the output of a step, or of the function, is large."""
    size = len(reply.body)
    if size <= MAX_STEP_BYTES // 2:
        return
    if ops and ops[0].code is Opcode.STEP_RUN:
        what, limit = f'step "{ops[0].step_id}"', MAX_STEP_BYTES
    else:
        what, limit = "the reply", MAX_REPLY_BYTES
    if size > limit // 2:
        logger.warning(
            "%s: %s has %d bytes; the server accepts %d. %s",
            function_id,
            what,
            size,
            limit,
            _REMEDY,
        )


def warn_of_state(logger: Any, function_id: str, size: int) -> None:
    """Say that the memos of a run, *size* bytes together, are large."""
    if size > MAX_STATE_BYTES // 2:
        logger.warning(
            "%s: the steps of this run have returned %d bytes; the server accepts %d. %s",
            function_id,
            size,
            MAX_STATE_BYTES,
            _REMEDY,
        )
