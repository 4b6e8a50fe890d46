"""The store in memory: what goes in comes out, on the official wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.remote_state import InMemoryDriver, RemoteStateError
from inngest_core import StepMemos

SAMPLES = Path(__file__).parents[2] / "samples" / "remote_state"


def test_a_value_comes_back_equal_and_as_json() -> None:
    driver = InMemoryDriver()
    memos = {"h": {"data": driver.save_step("run", {"pair": (1, 2)})}}
    driver.load_steps(StepMemos(memos))
    assert memos == {"h": {"data": {"pair": [1, 2]}}}


def test_each_replay_has_a_value_of_its_own() -> None:
    driver = InMemoryDriver()
    marker = driver.save_step("run", [1])
    one: dict[str, Any] = {"h": {"data": marker}}
    two: dict[str, Any] = {"h": {"data": marker}}
    driver.load_steps(StepMemos(one))
    one["h"]["data"].append("changed by the function")
    driver.load_steps(StepMemos(two))
    assert two == {"h": {"data": [1]}}


def test_the_marker_is_that_of_the_official_driver() -> None:
    official = json.loads((SAMPLES / "official.json").read_text())["memory_marker_of_official"]
    ours = InMemoryDriver().save_step("run", 1)
    assert ours.keys() == official.keys()
    assert ours["__STRATEGY__"] == official["__STRATEGY__"]
    assert len(str(ours["key"])) == len(official["key"])


def test_a_value_of_another_process_is_missing_and_not_none() -> None:
    memos = {"h": {"data": InMemoryDriver().save_step("run", 1)}}
    with pytest.raises(RemoteStateError, match=r"step h, inngest/memory: .*this process"):
        InMemoryDriver().load_steps(StepMemos(memos))


def test_what_others_keep_stays_as_it_is() -> None:
    memos = {"h": {"data": {"__REMOTE_STATE__": True, "__STRATEGY__": "inngest/s3"}}, "p": None}
    before = json.loads(json.dumps(memos))
    InMemoryDriver().load_steps(StepMemos(memos))
    assert memos == before
