"""
Realtime: who listens to which topic, and what is handed to them.

Law: nothing is stored. A message goes to those who listen at this moment, and to nobody else.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inngest_core.wire.ids import is_ulid

ENVIRONMENT = "00000000-0000-4000-b000-000000000000"
STREAM_TOPIC = "$stream"
"""The topic to which the raw output of a run's stream goes; its channel is the run's id."""
MAX_MESSAGE = 512 * 1024
_PATIENCE = 16 * 1024 * 1024
"""Characters that may wait for a listener who does not read."""

_log = logging.getLogger("inngest.devserver")


@dataclass(slots=True, frozen=True)
class Topic:
    """Something to listen to. Messages that are published are of the kind `run`."""

    channel: str
    name: str
    kind: str = "run"


@dataclass(slots=True, frozen=True)
class Message:
    """One message. Raw: not one of ours, to be handed on as it is."""

    text: str
    raw: bool = False


class Listener:
    """Someone who listens, and what is waiting for them."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.topics = set(topics)
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._open = True

    def hand(self, message: Message) -> None:
        """Put a message where the listener finds it. One who never reads is let go."""
        if not self._open:
            return
        self._size += len(message.text)
        if self._size > _PATIENCE:
            _log.warning("A realtime listener reads too slowly, and is disconnected.")
            self.close()
            return
        self._waiting.append(message)
        self._changed.set()

    def close(self) -> None:
        """Nothing more will come; what is waiting is forgotten."""
        self._open = False
        self._waiting.clear()
        self._changed.set()

    async def next(self) -> Message | None:
        """The next message, as soon as there is one; None once it is over."""
        while self._open and not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        if not self._open:
            return None
        message = self._waiting.popleft()
        self._size -= len(message.text)
        return message


class Hub:
    """Everyone who listens."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def join(self, topics: Iterable[Topic]) -> Listener:
        """Listen to topics from now on."""
        listener = Listener(topics)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        listener.close()
        self._listeners.discard(listener)

    def publish(self, topic: Topic, message: Message) -> None:
        """Hand a message to all who listen to a topic."""
        for listener in self._listeners:
            if topic in listener.topics:
                listener.hand(message)

    def close(self) -> None:
        """Let everyone go."""
        for listener in list(self._listeners):
            self.leave(listener)


# --- what is said ---------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Envelope:
    """What the messages of one publication have in common."""

    topic: Topic
    created_at: str
    run_id: str | None = None
    metadata: str | None = None

    def wrap(self, kind: str, data: Any) -> Message:
        """A message with data."""
        document: dict[str, Any] = {"kind": kind, "data": data}
        metadata = _read(self.metadata) if self.metadata else None
        if metadata is not None:
            document["metadata"] = metadata
        document["created_at"] = self.created_at
        document["channel"] = self.topic.channel
        document["env_id"] = ENVIRONMENT
        document["topic"] = self.topic.name
        if self.run_id and is_ulid(self.run_id):
            document["run_id"] = self.run_id
        return Message(_write(document))


def chunk(stream_id: str, data: str) -> Message:
    """A piece of a stream. It names no channel: the start of its stream did."""
    return Message(_write({"kind": "chunk", "stream_id": stream_id, "data": data}))


def read_data(body: bytes) -> Any:
    """What was published: JSON, else a text. What is beyond the limit is cut off."""
    text = body[:MAX_MESSAGE].decode(errors="replace")
    value = _read(text)
    return text if value is None and text.strip() != "null" else value


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _write(document: Any) -> str:
    # On one line, whatever the sender's layout: a line break would end an event of a stream.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
