"""
Tokens that let a browser listen to some topics, or publish. JSON Web Tokens, signed with a key that
the database keeps, so that they outlive the server.

A token is looked at when someone comes with it; it may run out while they stay.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from inngest_contrib.devserver.engine.body import ACCOUNT
from inngest_contrib.devserver.realtime import ENVIRONMENT, Topic
from inngest_core.wire.ids import ulid

_ISSUER = "rt.inngest.com"
_ALGORITHM = "HS256"
_SECONDS = 60
_RUN_ISSUER = "api.inngest.com"
_RUN_SUBJECT = "run-claim"
_RUN_SECONDS = 60 * 60


class BadToken(ValueError):
    """A text is no token of this server, or one that has run out."""


class Tokens:
    """Issues tokens, and reads them again."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or os.urandom(32)

    def issue(
        self, topics: Sequence[Topic], *, seconds: int = _SECONDS, publish: bool = False
    ) -> str:
        """A token for some topics; or, with `publish`, to publish."""
        import jwt

        now = time.time_ns() // 1_000_000
        claims = {
            "iss": _ISSUER,
            "sub": ACCOUNT,
            "exp": now // 1000 + seconds,
            "iat": now // 1000,
            "jti": ulid(now, os.urandom(10)),
            "env": ENVIRONMENT,
            "topics": [
                {
                    "kind": topic.kind,
                    "env_id": ENVIRONMENT,
                    "channel": topic.channel,
                    "name": topic.name,
                }
                for topic in topics
            ],
            "publish": publish,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def issue_for_run(self, run_id: str) -> str:
        """A token for the output of one run."""
        import jwt

        now = int(time.time())
        claims = {
            "iss": _RUN_ISSUER,
            "sub": _RUN_SUBJECT,
            "exp": now + _RUN_SECONDS,
            "iat": now,
            "Env": ENVIRONMENT,
            "RunID": run_id,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def opens(self, token: str, run_id: str) -> bool:
        """Whether a token is for the output of a run."""
        try:
            claims = self._claims(token, _RUN_ISSUER)
        except BadToken:
            return False
        return claims.get("RunID") == run_id

    def read(self, token: str) -> list[Topic]:
        """The topics of a token. Raises BadToken."""
        return [_topic(each) for each in self._claims(token, _ISSUER)["topics"]]

    def is_one(self, token: str) -> bool:
        """Whether a text is a token for topics, and no key."""
        try:
            self.read(token)
        except BadToken:
            return False
        return True

    def may_publish(self, token: str, topic: Topic) -> bool:
        """Whether a token is one to publish with; without topics, to any. Raises BadToken."""
        claims = self._claims(token, _ISSUER)
        topics = [_topic(each) for each in claims["topics"]]
        return claims.get("publish") is True and (not topics or topic in topics)

    def _claims(self, token: str, issuer: str) -> dict[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=issuer,
                options={"require": ["exp", "iss"]},
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise BadToken(f"the token is not valid: {type(error).__name__}") from error
        return claims


def _topic(claim: dict[str, Any]) -> Topic:
    return Topic(claim["channel"], claim["name"], claim["kind"])
