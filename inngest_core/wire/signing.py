"""
Keys, their hashes, and signatures in both directions.

Law: no key and no part of one is ever put into an error.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from ..errors import ConfigError, SignatureError
from .canonical import canonical
from .names import SIGNATURE_WINDOW

_PREFIX = re.compile(r"^signkey-\w+-")
_MAX_TIME_DIGITS = 15


def split_key(key: str) -> tuple[str, str]:
    """The prefix (``signkey-prod-`` or nothing) and the rest of a signing key."""
    match = _PREFIX.match(key)
    return ("", key) if match is None else (match[0], key[match.end() :])


def hash_signing_key(key: str, *, prefixed: bool = True) -> str:
    """The SHA-256 under which the server knows a signing key; the bearer form keeps the prefix."""
    prefix, rest = split_key(key)
    try:
        digest = hashlib.sha256(bytes.fromhex(rest)).hexdigest()
    except ValueError:
        raise ConfigError(
            "signing_key: after its prefix a signing key is an even number of hex digits; "
            "copy it again from the Inngest dashboard"
        ) from None
    return prefix + digest if prefixed else digest


def hash_event_key(key: str) -> str:
    """The SHA-256 under which the server knows an event key."""
    return hashlib.sha256(key.encode()).hexdigest()


def sign(key: str, body: bytes, now: int) -> str:
    """The signature header for *body*, made at *now* (Unix seconds)."""
    return f"t={now}&s={_digest(key, body, str(now))}"


def verify(header: str | None, body: bytes, keys: Sequence[str], now: float) -> str:
    """
    The key that signed *body*, out of *keys*.

    The raw bytes are tried first, since the server sends canonical JSON; only if
    they fail is the body canonicalised, because a proxy may have reformatted it.

    Raises SignatureError if the header is missing, malformed, more than five
    minutes from *now* (Unix seconds), or made with no known key.
    """
    if not header:
        raise SignatureError("the request has no signature", code="header_missing")
    moment, signature = _split_header(header)
    if abs(now - int(moment)) > SIGNATURE_WINDOW:
        raise SignatureError("the signature is more than five minutes from this machine's clock")
    key = _matching(keys, body, moment, signature) or _matching(
        keys, _recanonical(body), moment, signature
    )
    if key is None:
        raise SignatureError("the signature does not match any of our signing keys")
    return key


def _split_header(header: str) -> tuple[str, str]:
    parts = dict(part.partition("=")[::2] for part in header.split("&"))
    moment, signature = parts.get("t", ""), parts.get("s", "")
    well_formed = moment.isascii() and moment.isdigit() and len(moment) <= _MAX_TIME_DIGITS
    if not (well_formed and signature.isascii() and signature):
        raise SignatureError("the signature is malformed: expected t=<unix seconds>&s=<hex>")
    return moment, signature


def _matching(keys: Sequence[str], body: bytes | None, moment: str, signature: str) -> str | None:
    if body is None:
        return None
    for key in keys:
        if hmac.compare_digest(_digest(key, body, moment), signature):
            return key
    return None


def _recanonical(body: bytes) -> bytes | None:
    from pydantic_core import from_json

    try:
        return canonical(from_json(body, allow_inf_nan=False))
    except (ValueError, TypeError, RecursionError):
        return None


def _digest(key: str, body: bytes, moment: str) -> str:
    mac = hmac.new(split_key(key)[1].encode(), body, hashlib.sha256)
    mac.update(moment.encode())
    return mac.hexdigest()
