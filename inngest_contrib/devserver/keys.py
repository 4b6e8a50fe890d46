"""
The keys of a server in signed mode: their forms, and who proves to have them.

Law: no key, and no part of one, is ever shown, logged or put into an error.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hmac import compare_digest

from inngest_contrib.devserver.errors import KeysRefused
from inngest_core.wire.names import ServerKind
from inngest_core.wire.signing import hash_signing_key, split_key

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_EVENT_KEY = re.compile(r"[!-~]+")


@dataclass(slots=True, frozen=True)
class Keys:
    """The keys that a server knows. Without a signing key it asks nobody for one."""

    signing: str | None = field(default=None, repr=False)
    events: tuple[str, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> ServerKind:
        """What the server calls itself: with keys, as a self-hosted one, `cloud`."""
        return ServerKind.DEV if self.signing is None else ServerKind.CLOUD

    def admits(self, authorization: str | None) -> bool:
        """Whether a header proves that its sender has the signing key.

        After the scheme Bearer the key itself will do, or its hash, each with or without a prefix;
        after Basic, which is what browsers know, the same as password.
        """
        if self.signing is None:
            return True
        given = split_key(_credential(authorization or ""))[1]
        accepted = (self.signing, hash_signing_key(self.signing))
        return any(_same(given, one) for one in accepted)

    def admits_event_key(self, key: str) -> bool:
        """Whether events may be sent with this key."""
        return self.signing is None or any(_same(key, one) for one in self.events)


def _same(given: str, wanted: str) -> bool:
    return compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _credential(header: str) -> str:
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return _password(rest) if scheme.lower() == "basic" else ""


def _password(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def read_keys(signing_key: str | None, event_keys: Iterable[str]) -> Keys:
    """Check the keys that a server is started with. Raise KeysRefused."""
    events = tuple(dict.fromkeys(event_keys))
    if signing_key is None:
        if events:
            raise KeysRefused(
                "An event key needs a signing key beside it: without one this server asks nobody "
                "for a key, and any text is an event key."
            )
        return Keys()
    _check_signing_key(signing_key)
    if not events:
        raise KeysRefused(
            "With a signing key the server takes events only under its event keys: give at least "
            "one."
        )
    if not all(_EVENT_KEY.fullmatch(key) and "/" not in key for key in events):
        raise KeysRefused(
            "An event key is part of an address: visible ASCII characters, without spaces and "
            "slashes, and not empty."
        )
    return Keys(signing_key, events)


def environment(url: str, keys: Keys) -> dict[str, str]:
    """The variables that make an app use the server at a URL."""
    if keys.signing is None:
        return {"INNGEST_DEV": url}
    return {
        "INNGEST_DEV": "0",
        "INNGEST_BASE_URL": url,
        "INNGEST_EVENT_KEY": keys.events[0],
        "INNGEST_SIGNING_KEY": keys.signing,
    }


def _check_signing_key(key: str) -> None:
    prefix, rest = split_key(key)
    if prefix and _HEX.fullmatch(rest):
        raise KeysRefused(
            "The signing key has a prefix. Give the server only the hex digits that follow "
            "signkey-...-; apps may keep the prefix."
        )
    if not _HEX.fullmatch(key):
        raise KeysRefused(
            "The signing key must be an even number of hex digits and nothing else, such as "
            "`openssl rand -hex 32` prints."
        )
