"""Ids: ULIDs, the seed that makes event ids repeatable, and step hashes."""

from __future__ import annotations

import base64
import hashlib

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENTROPY_BYTES = 10
# Every replay asks for the same hashes again. 16,384 of them take about 4 MB.
_HASHES_KEPT = 16_384
_hashes: dict[str, str] = {}


def ulid(ms: int, entropy: bytes) -> str:
    """The ULID of a time in Unix milliseconds and ten bytes of entropy."""
    number = (ms << 80) | int.from_bytes(entropy, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether *text* is a ULID in its canonical, upper-case form."""
    return len(text) == 26 and text[0] <= "7" and all(c in _ALPHABET for c in text)


def format_seed(ms: int, entropy: bytes) -> str:
    """The idempotency seed of one send: the same seed makes the same event ids."""
    return f"{ms},{base64.b64encode(entropy).decode()}"


def parse_seed(text: str) -> tuple[int, bytes] | None:
    """The time and entropy of a seed, or None if it is malformed."""
    ms, _, encoded = text.partition(",")
    try:
        entropy = base64.b64decode(encoded, validate=True)
        moment = int(ms)
    except ValueError:
        return None
    if len(entropy) != ENTROPY_BYTES or not 0 <= moment < 1 << 48:
        return None
    return moment, entropy


def seeded_ulid(ms: int, entropy: bytes, index: int) -> str:
    """The id of the event at *index* (from 0) in a request with this seed."""
    # The server counts from 1 and adds to the last four bytes without carry.
    return ulid(ms, advanced(entropy, index + 1))


def advanced(entropy: bytes, count: int) -> bytes:
    """The entropy of the seed that goes on where *count* ids of another have ended."""
    tail = (int.from_bytes(entropy[6:], "big") + count) & 0xFFFFFFFF
    return entropy[:6] + tail.to_bytes(4, "big")


def hash_step(raw_id: str) -> str:
    """The hash by which the server knows a step: SHA-1 of its id, in hex."""
    # A plain dict: an lru_cache also moves three links of a list at every use.
    known = _hashes.get(raw_id)
    if known is None:
        if len(_hashes) >= _HASHES_KEPT:
            _hashes.clear()
        known = hashlib.sha1(raw_id.encode(), usedforsecurity=False).hexdigest()
        _hashes[raw_id] = known
    return known
