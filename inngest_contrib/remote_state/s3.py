"""
A store in an S3 bucket, or in what speaks its protocol.

boto3 is not imported here: whoever brings a client has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import quote

from inngest_core import ConfigError, StepMemos
from inngest_core.plugin.types import Memo

from .driver import decode, encode, field, lost, make_marker, marked, new_key

_STRATEGY = "inngest/s3"
_PREFIX = "inngest/remote_state/"
# A step's output may come from anywhere. One that looks like a marker must not fetch other objects.
_OURS = re.compile(re.escape(_PREFIX) + r"[^/]*/[^/]+")
_MISSING = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}


class S3Client(Protocol):
    """What is needed of ``boto3.client("s3")``."""

    @property
    def get_object(self) -> Callable[..., Any]: ...

    @property
    def put_object(self) -> Callable[..., Any]: ...


class S3Driver:
    """
    Keeps values as objects ``inngest/remote_state/<run>/<random>`` of a bucket.

    client: ``boto3.client("s3")``; threads share it. max_concurrency: how many objects
    of one call are fetched at the same time; the client's own pool has 10 connections
    unless it was told otherwise. Nothing is ever deleted: give the prefix a lifecycle rule.
    """

    def __init__(self, *, bucket: str, client: S3Client, max_concurrency: int = 8) -> None:
        _require(bucket, client, max_concurrency)
        self._bucket = bucket
        self._client = client
        self._max_concurrency = max_concurrency

    def load_steps(self, steps: StepMemos) -> None:
        """See StateDriver.load_steps."""
        memos = marked(steps, _STRATEGY)
        if len(memos) < 2:
            values = list(map(self._load, memos))
        else:
            values = self._load_together(memos)
        for memo, value in zip(memos, values, strict=True):
            memo.data = value

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """See StateDriver.save_step."""
        body = encode(value)
        key = f"{_PREFIX}{quote(run_id, safe='', errors='backslashreplace')}/{new_key()}"
        self._client.put_object(
            Body=body, Bucket=self._bucket, ContentType="application/json", Key=key
        )
        return make_marker(_STRATEGY, bucket=self._bucket, key=key)

    def _load_together(self, memos: list[Memo]) -> list[Any]:
        pool = ThreadPoolExecutor(min(self._max_concurrency, len(memos)), "inngest-s3")
        try:
            return list(pool.map(self._load, memos))
        finally:
            # After the first failure the others are not worth fetching.
            pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, memo: Memo) -> Any:
        bucket, key = field(memo, "bucket"), field(memo, "key")
        if not _OURS.fullmatch(key):
            raise lost(memo, f"its key {key!r} is none that a driver has made")
        try:
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except Exception as error:
            raise lost(memo, _reason(error, f"s3://{bucket}/{key}")) from error
        return decode(memo, body)


def _require(bucket: object, client: object, max_concurrency: object) -> None:
    if not isinstance(bucket, str) or not bucket:
        raise ConfigError(f"bucket: expected the name of a bucket, got {bucket!r}")
    if not (hasattr(client, "get_object") and hasattr(client, "put_object")):
        raise ConfigError(
            f'client: expected boto3.client("s3"), got {type(client).__name__}, which has no '
            "get_object and put_object"
        )
    if not isinstance(max_concurrency, int) or max_concurrency < 1:
        raise ConfigError(f"max_concurrency: expected 1 or more, got {max_concurrency!r}")


def _reason(error: Exception, place: str) -> str:
    response = getattr(error, "response", None) or {}
    if response.get("Error", {}).get("Code") in _MISSING:
        return (
            f"{place} does not exist. Was it deleted, or is the bucket's lifecycle shorter than "
            "its runs?"
        )
    return f"{place} could not be read: {error}"
