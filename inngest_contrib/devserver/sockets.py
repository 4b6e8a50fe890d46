"""
The sockets a server listens on.

`localhost` is 127.0.0.1 for some programs and ::1 for others, so on the loopback a server listens
on both, at the same port.
"""

from __future__ import annotations

import errno
import socket

from inngest_contrib.devserver.errors import CannotListen

LOOPBACK = ("127.0.0.1", "::1")
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_ATTEMPTS = 20


def listen(host: str, port: int) -> list[socket.socket]:
    """Open the sockets of an address; port 0 takes a free one. Raise CannotListen."""
    hosts = LOOPBACK if host in _LOOPBACK_NAMES else (host,)
    for _ in range(_ATTEMPTS if port == 0 else 1):
        opened = _open_all(hosts, port)
        if opened:
            return opened
    raise CannotListen(
        f"Port {port} on {host} is in use by another program, perhaps another Inngest server. "
        "End it, or choose another port with --port."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there."""
    return host in _LOOPBACK_NAMES or host.startswith("127.")


def _open_all(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    """Open one socket per host, all at one port; none if the port is taken on one of them."""
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            found = _open(host, opened[0].getsockname()[1] if opened else port)
            opened += [found] if found else []
    except OSError as error:
        for one in opened:
            one.close()
        if error.errno == errno.EADDRINUSE:
            return []
        raise CannotListen(f"Cannot listen on {hosts[0]}, port {port}: {error}") from error
    if not opened:
        raise CannotListen(f"This machine has no address {hosts[0]} to listen on.")
    return opened


def _open(host: str, port: int) -> socket.socket | None:
    """Open a listening socket; None where the machine lacks that kind of address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = None
    try:
        # Only where the protocol is named does asyncio switch Nagle's delay (40 ms a reply) off.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
        opened.listen(1024)
    except OSError as error:
        if opened is not None:
            opened.close()
        if error.errno in _NO_SUCH_ADDRESS:
            return None
        raise
    return opened
