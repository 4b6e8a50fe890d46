"""The servers that tests of the embedded server share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn, running, stand_in


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server in memory, one for all the tests of a module."""
    with running() as found:
        yield found


@pytest.fixture
def app() -> Iterator[StandIn]:
    """An app that answers every call with the data of its event; tests may change that."""

    def echo(call: Call) -> Reply:
        return Reply(200, call.json["event"]["data"])

    with stand_in(echo) as found:
        yield found
