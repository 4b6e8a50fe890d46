"""The sockets a server listens on."""

from __future__ import annotations

import socket

import pytest

from inngest_contrib.devserver.errors import CannotListen
from inngest_contrib.devserver.sockets import is_loopback, listen


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_loopback_is_listened_on_in_both_families_at_one_port(host: str) -> None:
    opened = listen(host, 0)
    try:
        assert opened[0].family == socket.AF_INET
        assert {one.getsockname()[0] for one in opened} <= {"127.0.0.1", "::1"}
        assert len({one.getsockname()[1] for one in opened}) == 1
    finally:
        close(opened)


def test_a_taken_port_is_told_with_the_remedy() -> None:
    opened = listen("127.0.0.1", 0)
    port = opened[0].getsockname()[1]
    try:
        with pytest.raises(CannotListen, match=rf"Port {port} on localhost is in use.*--port"):
            listen("localhost", port)
    finally:
        close(opened)


def test_a_port_is_free_again_once_its_sockets_are_closed() -> None:
    opened = listen("127.0.0.1", 0)
    port = opened[0].getsockname()[1]
    close(opened)
    close(listen("127.0.0.1", port))


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(CannotListen, match=r"no address 203\.0\.113\.7"):
        listen("203.0.113.7", 0)
    with pytest.raises(CannotListen, match=r"no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)],
)
def test_the_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
