"""The store in a directory: private, whole, and never outside of it."""

from __future__ import annotations

import datetime
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.remote_state import FilesystemDriver, RemoteStateError
from inngest_core import ConfigError, StepMemos

RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
DAY = datetime.timedelta(days=1)
posix = pytest.mark.skipif(sys.platform == "win32", reason="has no modes and no such fsync")


def loaded(driver: FilesystemDriver, marker: object) -> Any:
    memos = {"h": {"data": marker}}
    driver.load_steps(StepMemos(memos))
    return memos["h"]["data"]


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.*"))


@pytest.mark.parametrize("fsync", [True, False])
@pytest.mark.parametrize("value", [{"n": [1, "é", None]}, None, "half \ud800"])
def test_a_value_comes_back_equal(tmp_path: Path, value: object, fsync: bool) -> None:
    driver = FilesystemDriver(tmp_path, fsync=fsync)
    assert loaded(driver, driver.save_step(RUN, value)) == value


def test_another_process_finds_it(tmp_path: Path) -> None:
    marker = FilesystemDriver(tmp_path).save_step(RUN, "kept")
    assert loaded(FilesystemDriver(str(tmp_path)), marker) == "kept"


def test_the_marker_names_the_file_under_its_run(tmp_path: Path) -> None:
    marker = FilesystemDriver(tmp_path).save_step(RUN, 1)
    assert files(tmp_path) == [f"{RUN}/{marker['key']}.json"]
    assert marker["__STRATEGY__"] == "inngest-core/filesystem"


@posix
def test_only_the_owner_may_read_files_and_directories(tmp_path: Path) -> None:
    home = tmp_path / "state"
    marker = FilesystemDriver(home).save_step(RUN, 1)
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (home, home / RUN, home / RUN / f"{marker['key']}.json")
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    driver = FilesystemDriver(tmp_path)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        driver.save_step(RUN, 1)
    assert files(tmp_path) == []


@posix
@pytest.mark.parametrize(("fsync", "synced"), [(True, 3), (False, 0)])
def test_the_file_and_both_directories_are_synced_if_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool, synced: int
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", seen.append)
    FilesystemDriver(tmp_path, fsync=fsync).save_step(RUN, 1)
    assert len(seen) == synced


def test_a_run_that_is_cleaned_up_meanwhile_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FilesystemDriver(tmp_path)
    make = driver._make
    made: list[Path] = []

    def make_and_lose(folder: Path) -> None:
        make(folder)
        made.append(folder)
        if len(made) == 1:
            driver.cleanup(RUN)

    monkeypatch.setattr(driver, "_make", make_and_lose)
    assert loaded(driver, driver.save_step(RUN, 1)) == 1
    assert len(made) == 2


# ---- names that lead elsewhere

ODD = ["../up", "/etc", "a/b", "", ".", "..", "a\0b", "x" * 200, "ünïcode", "\ud800", "a b"]


@pytest.mark.parametrize("run_id", ODD)
def test_no_run_id_leads_out_of_the_directory(tmp_path: Path, run_id: str) -> None:
    home = tmp_path / "in" / "state"
    driver = FilesystemDriver(home)
    marker = driver.save_step(run_id, "kept")
    assert files(tmp_path) == [f"in/state/{marker['run']}/{marker['key']}.json"]
    assert loaded(driver, marker) == "kept"
    driver.cleanup(run_id)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "place", [{"run": ".."}, {"run": "../state"}, {"key": "../../secret"}, {"key": ""}, {"run": ""}]
)
def test_no_marker_leads_out_of_the_directory(tmp_path: Path, place: dict[str, str]) -> None:
    (tmp_path / "secret.json").write_text('"secret"')
    driver = FilesystemDriver(tmp_path / "state")
    marker = driver.save_step(RUN, 1) | place
    with pytest.raises(RemoteStateError, match="name no file that this driver has made"):
        loaded(driver, marker)


# ---- what is not to be had


def test_a_missing_file_is_named_with_its_step(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    marker = driver.save_step(RUN, 1)
    driver.cleanup(RUN)
    with pytest.raises(
        RemoteStateError, match=rf"step h, inngest-core/filesystem: .*{marker['key']}.json does not"
    ):
        loaded(driver, marker)


def test_a_file_that_cannot_be_read_is_told_as_it_is(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    marker = driver.save_step(RUN, 1)
    path = tmp_path / RUN / f"{marker['key']}.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(RemoteStateError, match="could not be read"):
        loaded(driver, marker)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"directory: .* cannot be made"):
        FilesystemDriver(tmp_path / "file" / "state")


def test_an_empty_path_is_not_taken_for_the_current_directory() -> None:
    with pytest.raises(ConfigError, match=r"directory: .*got an empty text"):
        FilesystemDriver("")


# ---- the end of a run


def test_cleaning_up_takes_one_run_and_may_be_repeated(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    driver.save_step(RUN, 1)
    kept = driver.save_step("other", 2)
    driver.cleanup(RUN)
    driver.cleanup(RUN)
    assert files(tmp_path) == [f"other/{kept['key']}.json"]


def test_what_is_not_ours_is_never_deleted(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    driver.save_step(RUN, 1)
    (tmp_path / RUN / "notes.txt").write_text("mine")
    driver.cleanup(RUN)
    assert files(tmp_path) == [f"{RUN}/notes.txt"]


def test_runs_that_saved_nothing_for_long_expire(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    driver.save_step("old", 1)
    kept = driver.save_step("young", 2)
    (tmp_path / "a file").write_text("")
    week_ago = (tmp_path / "young").stat().st_mtime - 7 * DAY.total_seconds()
    os.utime(tmp_path / "old", (week_ago, week_ago))
    assert driver.expire(8 * DAY) == 0
    assert driver.expire(2 * DAY) == 1
    assert not (tmp_path / "old").exists()
    assert loaded(driver, kept) == 2


def test_a_run_that_saved_again_lives_on(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    driver.save_step("long", 1)
    os.utime(tmp_path / "long", (0, 0))
    marker = driver.save_step("long", 2)
    assert driver.expire(DAY) == 0
    assert loaded(driver, marker) == 2


def test_nothing_expires_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="older_than: expected a positive time"):
        FilesystemDriver(tmp_path).expire(datetime.timedelta(0))
