"""One server per database: a lock that dies with its process, and the name of who holds it."""

from __future__ import annotations

import os
import sys


class StoreInUse(Exception):
    """Another server has the database open; the message names it."""


class FileLock:
    """Holds a file from construction to `release`, or raises StoreInUse."""

    def __init__(self, path: str, owner: str = "") -> None:
        # No O_TRUNC: until the lock is ours, the text in the file is the other server's.
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            _lock(self._fd)
        except OSError:
            holder = _read(self._fd).decode(errors="replace").strip()
            os.close(self._fd)
            raise StoreInUse(
                f"the database {path.removesuffix('-lock')} is in use by another server "
                f"({holder or 'unknown'}); stop that one, or choose another file with --db."
            ) from None
        name = f"process {os.getpid()}" + (f", {owner}" if owner else "")
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, name.encode())

    def release(self) -> None:
        """Let the next one have it. The file stays: deleting it would race with that one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, 1 << 20, os.SEEK_SET)  # beyond the text, which others must be able to read
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 500)
