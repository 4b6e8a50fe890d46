"""A store in a directory: of one machine, or shared by all that answer calls."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from inngest_core import ConfigError, StepMemos
from inngest_core.plugin.types import Memo

from .driver import Marker, decode, encode, field, lost, make_marker, marked

_STRATEGY = "inngest-core/filesystem"
_RUN = re.compile(r"[A-Za-z0-9_-]{1,100}")
_KEY = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"\.?[0-9a-f]{32}\.(json|new)")


class FilesystemDriver:
    """
    Keeps values as files ``<directory>/<run>/<random>.json``, readable by their owner only.

    A file is written beside its name and renamed, so none is ever half there. fsync: wait
    until it is on the disk, so that a step that was acknowledged survives a power failure;
    False is faster, and enough where losing the machine loses the runs anyway.

    Files stay until ``cleanup`` or ``expire``.
    """

    def __init__(self, directory: str | os.PathLike[str], *, fsync: bool = True) -> None:
        if not os.fspath(directory):
            raise ConfigError("directory: expected the path of a directory, got an empty text")
        self._directory = Path(directory).absolute()
        self._fsync = fsync
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"directory: {self._directory} cannot be made: {error}") from error

    def load_steps(self, steps: StepMemos) -> None:
        """See StateDriver.load_steps."""
        for memo in marked(steps, _STRATEGY):
            memo.data = decode(memo, self._read(memo))

    def save_step(self, run_id: str, value: object) -> Marker:
        """See StateDriver.save_step."""
        body = encode(value)
        run, key = _folder(run_id), secrets.token_hex(16)
        self._make(self._directory / run)
        try:
            self._write(self._directory / run, key, body)
        except FileNotFoundError:
            # Someone has cleaned up in between.
            self._make(self._directory / run)
            self._write(self._directory / run, key, body)
        return make_marker(_STRATEGY, run=run, key=key)

    def cleanup(self, run_id: str) -> None:
        """Delete what is kept for a run, which must have ended."""
        _remove(self._directory / _folder(run_id))

    def expire(self, older_than: datetime.timedelta) -> int:
        """
        Delete what is kept for runs that have saved nothing for this long; how many they were.

        older_than: longer than any run may take, its sleeps and waits included.
        """
        if older_than <= datetime.timedelta(0):
            raise ValueError(f"older_than: expected a positive time, got {older_than}")
        last = time.time() - older_than.total_seconds()
        # Saving a file changes its directory, so the directory tells when the last was saved.
        old = [folder for folder, saved in self._folders() if saved < last]
        for folder in old:
            _remove(folder)
        return len(old)

    def _folders(self) -> Iterator[tuple[Path, float]]:
        """The directories of runs, and when each was last changed."""
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if _RUN.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_mtime

    def _read(self, memo: Memo) -> bytes:
        run, key = field(memo, "run"), field(memo, "key")
        if not (_RUN.fullmatch(run) and _KEY.fullmatch(key)):
            # A step's output may come from anywhere, also one that looks like a marker.
            raise lost(memo, f"{run!r} and {key!r} name no file that this driver has made")
        path = self._directory / run / f"{key}.json"
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise lost(
                memo, f"{path} does not exist. Was it deleted before its run ended?"
            ) from error
        except OSError as error:
            raise lost(memo, f"{path} could not be read: {error}") from error

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._sync(self._directory)

    def _write(self, folder: Path, key: str, body: bytes) -> None:
        unfinished = folder / f".{key}.new"
        try:
            self._fill(unfinished, body)
            os.replace(unfinished, folder / f"{key}.json")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        self._sync(folder)

    def _fill(self, path: Path, body: bytes) -> None:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            if self._fsync:
                os.fsync(file.fileno())

    def _sync(self, folder: Path) -> None:
        """Put the names in a directory on the disk, too; Windows has no way to ask for that."""
        if not self._fsync or os.name == "nt":
            return
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _folder(run_id: str) -> str:
    """The name of a run's directory: its id, unless that could lead elsewhere."""
    if _RUN.fullmatch(run_id):
        return run_id
    return "sha256-" + hashlib.sha256(run_id.encode(errors="surrogatepass")).hexdigest()


def _remove(folder: Path) -> None:
    """Delete a run's directory, and nothing in it that is not ours."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in filter(_FILE.fullmatch, names):
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        # Something else is in it, or something was saved just now.
        return
