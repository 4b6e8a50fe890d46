"""
What clients asked a real server, asked of ours: the same statuses, shapes and words.

`rest-v2-and-graphql` begins in the middle of its story, so it is told in other tests.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contrib.devserver.recorded import Player

KEYS: dict[str, Any] = {
    "signing_key": "0123456789abcdef0123456789abcdef",
    "event_keys": ("deadbeef01",),
}
ON_PURPOSE: dict[str, dict[str, str]] = {
    "signed-server": {"12 POST /v0/gql": "GraphQL wants the key here"},
    "rest-misc": {
        "8 POST /v1/runs/01M81FEAVZ8XRJ2BQSAS1PT4AB/metadata": "the reason is told",
        "7 POST /v1/runs/01M81FEAVZ8XRJ2BQSAS1PT4AB/metadata": "the reason is told",
        "9 POST /v1/cancellations": "an instant ahead is taken",
        "10 GET /v1/cancellations": "there it fails",
        "4 GET /v1/runs/01M81FEAVZ8XRJ2BQSAS1PT4AB/jobs": "what is internal there is not shown",
        "17 GET /dev": "the options are those of this server",
    },
    "use-api": {},
    "use-api-large-events": {},
    "realtime": {"18 GET /v1/realtime/publish": "a wrong method is told in the body"},
}
"""What is different, and why. Whatever else is different fails."""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("signed-server", KEYS),
        ("rest-misc", {}),
        ("realtime", {}),
        ("use-api", {}),
        ("use-api-large-events", {}),
    ],
)
def test_a_client_is_answered_as_recorded(name: str, options: dict[str, Any]) -> None:
    found = Player(name, different=ON_PURPOSE[name], **options).play()
    assert {place: found[place] for place in found if place not in ON_PURPOSE[name]} == {}
    assert found.keys() == ON_PURPOSE[name].keys()


@pytest.mark.slow
def test_limits_are_those_of_the_real_server() -> None:
    player = Player("limits")
    # Of the thousand steps only the end was recorded.
    assert player.play_calls(without="lim-thousand") == {}
    reasons = {slug: (status, _reason(output)) for slug, (status, output) in player.outputs.items()}
    assert reasons == {
        "lim-step4": ("FAILED", "step output size is greater than the limit"),
        "lim-step39": ("COMPLETED", ""),
        "lim-out4": ("COMPLETED", ""),
        "lim-out9": ("FAILED", "output_too_large"),
        "lim-steps9": ("FAILED", "output_too_large"),
        "lim-err": ("FAILED", "mmmm"),
        "lim-state": ("FAILED", "exceeded the state size limit of 33554432 bytes"),
    }


REASONS = (
    "step output size is greater than the limit",
    "output_too_large",
    "exceeded the state size limit of 33554432 bytes",
    "mmmm",
)


def _reason(output: Any) -> str:
    message = str(output.get("error", {}).get("message", ""))
    return next((reason for reason in REASONS if reason in message), "")
