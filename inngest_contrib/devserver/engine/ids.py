"""Where the engine's ids come from: a seed it is given, and the time of the turn."""

from __future__ import annotations

import random
import uuid

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))
_NAMESPACE = uuid.UUID("6f1c7d0e-6b5e-5c55-9d0a-2f0a5f4c8b11")


class Ids:
    """Makes ids that rise within one engine and are unlike those of any other."""

    __slots__ = ("_ms", "_random", "_tail")

    def __init__(self, seed: bytes) -> None:
        self._random = random.Random(seed)
        self._ms = 0
        self._tail = 0

    def ulid(self, now: int) -> str:
        """A ULID greater than all before, also within a millisecond or when clocks go back."""
        if now > self._ms:
            self._ms = now
            # The top bit stays free, so that counting up never runs over.
            self._tail = self._random.getrandbits(79)
        else:
            self._tail += 1 + self._random.getrandbits(24)
        return _ulid((self._ms << 80) | self._tail)

    def job(self) -> str:
        """An opaque id of a job."""
        return f"{self._random.getrandbits(64):016x}"

    def spread(self, width: int) -> int:
        """A random whole number from 0 to `width`."""
        return self._random.randint(0, width)

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def first_ulid(ms: int) -> str:
    """The least ULID of a millisecond."""
    return _ulid(max(0, ms) << 80)


def _ulid(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def stable_uuid(*words: str) -> str:
    """The same UUID for the same words, on every server."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join(words)))
