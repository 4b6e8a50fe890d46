"""
Replies that the server has not confirmed yet.

A reply is sent once over a connection. Without an ack, because it is late or its connection is
gone, it is posted to the API, and again after a while, until somebody has it.

Pure: no I/O; time comes in as seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_BYTES = 64 * 1024 * 1024
"""How much is kept of what the server does not take; then the oldest reply goes."""
SETTLED_KEPT = 4096


@dataclass(slots=True)
class Reply:
    """
    One reply. link: the connection that has carried it, None if none does.

    flushing: it is on its way to the API. tries: how often that has failed.
    """

    body: bytes
    link: int | None = None
    flushing: bool = False
    tries: int = 0


@dataclass(slots=True)
class Outbox:
    """Every unconfirmed reply, by the id of its request."""

    size: int = 0
    _all: dict[str, Reply] = field(default_factory=dict)
    # In the order of their times, since every reply waits equally long for its ack.
    _acks: dict[str, float] = field(default_factory=dict)
    _rests: list[tuple[float, str]] = field(default_factory=list)
    _settled: dict[str, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._all)

    def get(self, request_id: str) -> Reply | None:
        return self._all.get(request_id)

    def add(self, request_id: str, body: bytes) -> Reply:
        """Keep a reply that has gone nowhere yet."""
        reply = self._all[request_id] = Reply(body)
        self.size += len(body)
        return reply

    def evict(self) -> Iterator[str]:
        """Drop the oldest replies until the rest may be kept."""
        while self.size > MAX_BYTES and len(self._all) > 1:
            request_id = next(iter(self._all))
            self.remove(request_id)
            yield request_id

    def remove(self, request_id: str) -> bool:
        """Drop a reply; whether it was there."""
        reply = self._all.pop(request_id, None)
        if reply is None:
            return False
        self.size -= len(reply.body)
        self._acks.pop(request_id, None)
        return True

    def settle(self, request_id: str) -> None:
        """The server has a reply: its request is over, even if it comes again."""
        if self.remove(request_id):
            if len(self._settled) >= SETTLED_KEPT:
                del self._settled[next(iter(self._settled))]
            self._settled[request_id] = None

    def is_settled(self, request_id: str) -> bool:
        """Whether the server has had the reply to a request not long ago."""
        return request_id in self._settled

    def sent(self, request_id: str, link: int, until: float) -> None:
        """A reply was sent over a connection; its ack is due at *until*."""
        reply = self._all[request_id]
        reply.link, reply.flushing = link, False
        self._acks.pop(request_id, None)
        self._acks[request_id] = until

    def flush(self, request_id: str) -> Reply | None:
        """A reply goes to the API; None if it is there or on its way already."""
        reply = self._all.get(request_id)
        if reply is None or reply.flushing:
            return None
        reply.link, reply.flushing = None, True
        self._acks.pop(request_id, None)
        return reply

    def rest(self, request_id: str, until: float) -> None:
        """A reply waits until it is posted again."""
        self._all[request_id].flushing = False
        heapq.heappush(self._rests, (until, request_id))

    def carried_by(self, link: int) -> list[str]:
        """The replies whose acks are to come over a connection."""
        return [id for id in self._acks if self._all[id].link == link]

    def overdue(self, now: float) -> Iterator[str]:
        """The replies that have waited long enough for an ack, or for their next try."""
        while self._acks and next(iter(self._acks.values())) <= now:
            request_id = next(iter(self._acks))
            del self._acks[request_id]
            yield request_id
        while self._rests and self._rests[0][0] <= now:
            request_id = heapq.heappop(self._rests)[1]
            # Since then it may have gone over a connection.
            if request_id in self._all and self._all[request_id].link is None:
                yield request_id

    def next_due(self) -> Iterator[float]:
        """The times at which the first of them are overdue."""
        if self._acks:
            yield next(iter(self._acks.values()))
        if self._rests:
            yield self._rests[0][0]
