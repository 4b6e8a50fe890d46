"""
Tokens that a worker gets at the start request and brings to the gateway. JSON Web Tokens.

They are good for one process and some minutes: a worker that comes later starts again.
"""

from __future__ import annotations

import os
import time
from typing import Any

from inngest_contrib.devserver.engine.body import ACCOUNT
from inngest_contrib.devserver.realtime import ENVIRONMENT
from inngest_core.wire.ids import ulid

_ISSUER = "connect.inngest.com"
_AUDIENCE = "gateway.connect.inngest.com"
_ALGORITHM = "HS256"


class Sessions:
    """Issues tokens, and knows them again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._key = os.urandom(32)

    def issue(self) -> str:
        """A token for one handshake."""
        import jwt

        now = time.time()
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "sub": ACCOUNT,
            "aud": [_AUDIENCE],
            "exp": now + self._seconds,
            "iat": int(now),
            "jti": ulid(int(now * 1000), os.urandom(10)),
            "env": ENVIRONMENT,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def knows(self, token: str) -> bool:
        """Whether a token is one of ours, and has not run out."""
        import jwt

        try:
            jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                options={"require": ["exp", "iss", "aud"], "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return False
        return True
