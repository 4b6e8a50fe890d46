"""One question: whom it asks, and how much may still be read for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from graphql import GraphQLError

from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.reads import Reads

T = TypeVar("T")

MAX_RECORDS = 10_000


@dataclass(slots=True)
class Ask:
    """A question under way."""

    api: Api
    left: int = MAX_RECORDS

    @property
    def reads(self) -> Reads:
        """What was committed."""
        return self.api.reads

    def take(self, records: Sequence[T]) -> Sequence[T]:
        """Count what was read; raise once it is too much for one question."""
        self.left -= len(records)
        if self.left < 0:
            raise GraphQLError(
                f"The answer would hold more than {MAX_RECORDS} records: ask for less at once"
            )
        return records
