"""
What encryption costs a step, beside the official package.

A call of a blocking function with encrypted memos and one new step, bytes in to bytes out, and
the same without encryption: the difference, divided by the steps, is the cost of one. All of
them take turns, so that a noisy machine disturbs them alike; the figure to read is the ratio.

    python -m benchmarks.encryption [--steps 100] [--rounds 9] [--sizes 10,1000,100000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
from collections.abc import Callable
from typing import Any

import inngest
import inngest_core_encryption
import inngest_encryption

import inngest_core
from inngest_core import CommHandler, CommRequest

from .replay import QUERY, SECONDS_A_SAMPLE, URL, Answer, Timer, body_of, timer

Side = Callable[..., Answer]

KEY = "a secret that is long enough"
HEADERS = {"content-type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", default="10,1000,100000")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"{'bytes':>7} {'plugin us':>10} {'middleware us':>14} {'official us':>12} {'ratio':>7}")
    for size in map(int, options.sizes.split(",")):
        plugin, middleware, official = costs(size, options.steps, options.rounds)
        ratio = official / plugin
        print(
            f"{size:7} {plugin:10.1f} {middleware:14.1f} {official:12.1f} {ratio:6.1f}x", flush=True
        )


def costs(size: int, steps: int, rounds: int) -> tuple[float, float, float]:
    """Microseconds that a step of *size* bytes takes more if it is encrypted, by who encrypts."""
    value = "x" * size
    plain, sealed = body(value, steps), body(encrypted(value), steps)
    theirs_in_use = inngest_encryption.EncryptionMiddleware.factory(KEY)
    ours_in_use = inngest_core_encryption.EncryptionMiddleware.factory(KEY)
    pairs: list[tuple[Side, dict[str, Any]]] = [
        (ours, {"options": {"encryption": {"key": KEY}}}),
        (ours, {"middleware": [ours_in_use]}),
        (theirs, {"middleware": [theirs_in_use]}),
    ]
    loop = asyncio.new_event_loop()
    more = [
        difference(
            timer(side(value, steps, sealed, **options), 206, loop),
            timer(side(value, steps, plain), 206, loop),
        )
        for side, options in pairs
    ]
    samples = [[one() / (steps + 1) for one in more] for _ in range(rounds)]
    loop.close()
    plugin, middleware, official = map(statistics.median, zip(*samples, strict=True))
    return plugin, middleware, official


def difference(sealed: Timer, plain: Timer) -> Callable[[], float]:
    """What tells how many microseconds more the first takes: call by call, in turns."""
    count = max(2, int(SECONDS_A_SAMPLE / (sealed(1) / 1e6)))

    def measured() -> float:
        return statistics.median(sealed(1) - plain(1) for _ in range(count))

    return measured


def encrypted(value: object) -> Any:
    """A value as the server has it."""
    cipher = inngest_core_encryption.SecretBoxCipher(KEY)
    return inngest_core.Sealer([cipher]).seal(value)


def body(value: object, steps: int) -> bytes:
    """A call with so many memos of a value."""
    doc = json.loads(body_of(steps))
    for memo in doc["steps"].values():
        memo["data"] = value
    return json.dumps(doc).encode()


def handler_of(value: object, steps: int) -> Any:
    def produce() -> object:
        return value

    def handler(ctx: Any) -> None:
        for n in range(steps + 1):
            ctx.step.run(f"step-{n}", produce)

    return handler


def ours(value: object, steps: int, content: bytes, **options: Any) -> Answer:
    client = inngest_core.Inngest(app_id="bench", is_production=False, **options)
    trigger = inngest_core.TriggerEvent(event="bench")
    client.create_function(fn_id="f", trigger=trigger)(handler_of(value, steps))
    door = CommHandler(client=client, framework="flask")
    request = CommRequest("POST", URL, HEADERS, QUERY, content)
    return lambda: door.answer_sync(request).status


def theirs(value: object, steps: int, content: bytes, **options: Any) -> Answer:
    from inngest._internal import comm_lib, server_lib

    client = inngest.Inngest(app_id="bench", is_production=False, **options)
    trigger = inngest.TriggerEvent(event="bench")
    create = client.create_function(fn_id="f", trigger=trigger)
    door = comm_lib.CommHandler(
        client=client,
        enable_unauthed_sync=None,
        framework=server_lib.Framework.FLASK,
        functions=[create(handler_of(value, steps))],
        streaming=None,
    )

    def answer() -> int:
        request = comm_lib.CommRequest(
            body=content,
            headers=HEADERS,
            public_path=None,
            query_params=QUERY,
            raw_request=None,
            request_url=URL,
            serve_origin=None,
            serve_path=None,
        )
        return door.post_sync(request).status_code

    return answer


if __name__ == "__main__":
    main()
