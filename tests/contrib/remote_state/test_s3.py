"""The store in S3: moto's, and the bytes that the official driver stores and loads."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.remote_state import RemoteStateError, S3Driver
from inngest_contrib.remote_state.s3 import S3Client
from inngest_core import ConfigError, StepMemos

RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
SAMPLES = json.loads(
    (Path(__file__).parents[2] / "samples" / "remote_state" / "official.json").read_text()
)
OFFICIAL, OURS = SAMPLES["from_official"], SAMPLES["from_ours"]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    """A client of a bucket named ``state``, without a network."""
    import boto3
    from moto import mock_aws

    # Every test gets its environment back; credentials that moto sets there would be lost.
    with mock_aws(config={"core": {"mock_credentials": False}}):
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        client.create_bucket(Bucket="state")
        yield client


class Recorded:
    """A bucket that holds what was recorded."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self.bodies = {one["marker"]["key"]: one["body"].encode() for one in exchanges}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.bodies[Key])}

    def put_object(self, *, Body: bytes, Bucket: str, ContentType: str, Key: str) -> None:
        self.bodies[Key] = Body


def loaded(driver: S3Driver, *markers: object) -> list[Any]:
    memos = {f"h{n}": {"data": marker} for n, marker in enumerate(markers)}
    driver.load_steps(StepMemos(memos))
    return [memo["data"] for memo in memos.values()]


@pytest.mark.parametrize("value", [{"n": [1, "é", None]}, None, "x" * 100_000])
def test_a_value_comes_back_equal(s3: Any, value: object) -> None:
    driver = S3Driver(bucket="state", client=s3)
    marker = driver.save_step(RUN, value)
    assert loaded(driver, marker) == [value]


def test_an_object_stands_under_its_run_and_says_what_it_is(s3: Any) -> None:
    marker = S3Driver(bucket="state", client=s3).save_step(RUN, 1)
    found = s3.get_object(Bucket=marker["bucket"], Key=marker["key"])
    assert found["ContentType"] == "application/json"
    assert re.fullmatch(rf"inngest/remote_state/{RUN}/[A-Za-z0-9]{{32}}", str(marker["key"]))


@pytest.mark.parametrize("run_id", ["a/b", "", "..", "ünï code", "\ud800"])
def test_any_run_id_makes_a_key_that_is_found_again(run_id: str) -> None:
    driver = S3Driver(bucket="state", client=Recorded([]))
    assert loaded(driver, driver.save_step(run_id, 1)) == [1]


# ---- the official driver


def test_what_the_official_driver_stored_is_loaded() -> None:
    driver = S3Driver(bucket="other", client=Recorded(OFFICIAL))
    values = loaded(driver, *(one["marker"] for one in OFFICIAL))
    assert values == [one["value"] for one in OFFICIAL]


@pytest.mark.parametrize("known", OURS, ids=lambda one: one["body"][:8])
def test_what_is_stored_is_what_the_official_driver_was_seen_to_load(known: Any) -> None:
    client = Recorded([])
    marker = S3Driver(bucket="state", client=client).save_step(RUN, known["value"])
    ((key, body),) = client.bodies.items()
    assert body.decode() == known["body"]
    assert marker == {**known["marker"], "key": key}


# ---- many at once


class Meeting(Recorded):
    """A bucket whose reads wait for each other: *size* of them must be under way at once."""

    def __init__(self, size: int) -> None:
        super().__init__([])
        self.barrier = threading.Barrier(size, timeout=10)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.barrier.wait()
        return super().get_object(Bucket=Bucket, Key=Key)


def test_many_are_loaded_at_once_and_each_comes_to_its_step() -> None:
    driver = S3Driver(bucket="state", client=Meeting(4), max_concurrency=4)
    markers = [driver.save_step(RUN, n) for n in range(12)]
    assert loaded(driver, *markers) == list(range(12))


class Counting(Recorded):
    """A bucket that counts how many reads are under way."""

    def __init__(self) -> None:
        super().__init__([])
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return super().get_object(Bucket=Bucket, Key=Key)
        finally:
            with self.lock:
                self.now -= 1


def test_but_no_more_than_allowed() -> None:
    client = Counting()
    driver = S3Driver(bucket="state", client=client, max_concurrency=2)
    markers = [driver.save_step(RUN, n) for n in range(40)]
    assert loaded(driver, *markers) == list(range(40))
    assert client.most <= 2


# ---- what is not to be had


def test_a_missing_object_is_named_with_its_step(s3: Any) -> None:
    driver = S3Driver(bucket="state", client=s3)
    marker = driver.save_step(RUN, 1)
    s3.delete_object(Bucket="state", Key=marker["key"])
    with pytest.raises(RemoteStateError) as caught:
        loaded(driver, driver.save_step(RUN, 2), marker)
    assert str(caught.value).startswith(
        f"step h1, inngest/s3: s3://state/{marker['key']} does not exist."
    )
    assert caught.value.__cause__ is not None


def test_so_is_a_missing_bucket(s3: Any) -> None:
    marker = S3Driver(bucket="state", client=s3).save_step(RUN, 1)
    with pytest.raises(RemoteStateError, match=r"s3://gone/.* does not exist"):
        loaded(S3Driver(bucket="state", client=s3), {**marker, "bucket": "gone"})


def test_another_failure_is_told_as_it_is() -> None:
    class Broken(Recorded):
        def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
            raise ConnectionError("no route")

    driver = S3Driver(bucket="state", client=Broken([]))
    marker = driver.save_step(RUN, 1)
    with pytest.raises(RemoteStateError, match=r"could not be read: no route"):
        loaded(driver, marker)


@pytest.mark.parametrize(
    "key", ["secrets/key", "inngest/remote_state/", "inngest/remote_state/a", "../x", ""]
)
def test_a_marker_cannot_name_objects_that_are_not_ours(key: str) -> None:
    marker = {"__REMOTE_STATE__": True, "__STRATEGY__": "inngest/s3", "bucket": "b", "key": key}
    with pytest.raises(RemoteStateError, match="none that a driver has made"):
        loaded(S3Driver(bucket="state", client=Recorded([])), marker)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bucket": ""}, "bucket: expected the name of a bucket"),
        ({"bucket": None}, "bucket: expected the name of a bucket, got None"),
        ({"client": object()}, r"client: expected boto3.client\(\"s3\"\), got object"),
        ({"max_concurrency": 0}, "max_concurrency: expected 1 or more, got 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        S3Driver(**{"bucket": "state", "client": Recorded([]), **wrong})
