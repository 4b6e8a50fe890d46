"""
Where the official package comes out otherwise, and why ours is meant to.

Each is told in docs/coming-from-inngest.md; one that is none any more fails its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .kits import OURS, Kit

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-inngest.md"


@dataclass(frozen=True)
class Difference:
    """The facts of a case as they are with the official package."""

    official: dict[str, Any]
    told: str
    """How the page tells it: a phrase that stands there."""


ATTEMPTS = [["500"]] * 5
NO_JSON = {
    "code": "unknown",
    "message": "Expecting value: line 1 column 1 (char 0)",
    "name": "JSONDecodeError",
}
PROBE = "a trust probe is answered with 500"
CAUSE = "keeps the cause of an error"
NOT_JSON = "is not JSON is not retried"
DIFFERENCES: dict[str, Difference] = {
    "an_explicit_cause_is_told": Difference({"cause": [None, None]}, CAUSE),
    "the_cause_of_a_step_error": Difference(
        {"output": ["Refused", "outer", "NoneType", "None"]}, CAUSE
    ),
    "a_step_error_is_replaced": Difference({"cause": None}, CAUSE),
    "a_non_retriable_error_in_a_step": Difference(
        {"ops": [["500"]]}, "can be caught as a `StepError`"
    ),
    "a_non_retriable_error_without_a_message": Difference(
        {
            "output": {
                "code": "non_retriable_error",
                "message": "None",
                "name": "NonRetriableError",
            }
        },
        "without a message",
    ),
    "a_function_asks_to_be_called_later": Difference({"no retry": None}, "x-inngest-no-retry"),
    "what_headers_say_of_errors": Difference({"plain": None}, "x-inngest-no-retry"),
    "a_step_asks_to_be_called_later": Difference(
        {"ops": [["500"], ["StepRun work"], ["200"]]}, "reported as an error of that step"
    ),
    "a_nested_step_is_refused": Difference(
        {
            "output": {
                "code": "step_errored",
                "message": "Nested steps are not supported.",
                "name": "CodedError",
            }
        },
        "`NestedStepError`",
    ),
    "a_result_that_is_not_json": Difference({"ops": ATTEMPTS}, NOT_JSON),
    "an_output_that_is_not_json": Difference({"ops": ATTEMPTS}, NOT_JSON),
    "a_group_of_one": Difference(
        {"ops": [["StepPlanned a"], ["StepRun a"], ["200"]]}, "A group of one step"
    ),
    "plain_gather": Difference(
        {"log": ["a", "b", "b", "c", "c", "c"], "first": ["StepRun a"]}, "`asyncio.gather`"
    ),
    "hooks_of_a_pause": Difference(
        {
            "of a pause": [
                "second transform_output ('nap', 'Sleep') None True",
                "first transform_output ('nap', 'Sleep') None True",
            ]
        },
        "`has_output()` is false",
    ),
    "hooks_of_an_error": Difference(
        {
            "hooks": [
                "first transform_input 0",
                "second transform_input 0",
                "first before_execution",
                "second before_execution",
                "second transform_output None ValueError False",
                "first transform_output None ValueError False",
                "first before_response",
                "second before_response",
            ]
        },
        "`after_execution` also runs",
    ),
    "small throttle": Difference(
        {"throttle": {"limit": 3, "period": "90s", "burst": 1}}, "`1m30s`"
    ),
    "a failure handler": Difference({"cancel": [], "concurrency": []}, "empty lists"),
    "the registration": Difference({"deploytype": None, "deploy_type": "ping"}, "`deployType`"),
    "headers of a registration": Difference(
        {"x-inngest-expected-server-kind": None}, "x-inngest-expected-server-kind"
    ),
    "a call signed an hour ago": Difference({"status": 200}, "older than five minutes"),
    "a call of no function": Difference({"status": 500}, "with 400"),
    "a call without a body": Difference({"status": 500, "code": "unknown"}, "with 400"),
    "a call with a body that is no JSON": Difference(
        {"status": 500, "code": "unknown"}, "with 400"
    ),
    "a streamed reply of a blocking function": Difference(
        {"status": 200, "streamed": {"status": None, "body": None}}, "Blocking functions stream"
    ),
    "an address with a slash at its end on fastapi": Difference(
        {"status": 307, "body": None}, "slash at its end"
    ),
    "an address with a slash at its end on flask": Difference(
        {"status": 404, "body": None}, "slash at its end"
    ),
    "an address with a slash at its end on tornado": Difference(
        {"status": 404, "body": None}, "slash at its end"
    ),
    "a call in dev mode on tornado": Difference(
        {
            "headers": {
                "content-type": "text/html; charset=UTF-8, application/json",
                "x-inngest-expected-server-kind": "dev",
                "x-inngest-framework": "<adapter>",
                "x-inngest-req-version": "2",
            }
        },
        "two types of content",
    ),
    "a call of no function on digitalocean": Difference({"status": 400}, "with 400"),
    "an event of another method": Difference({"status": 500, "code": "unknown"}, "with 405"),
    "trust probe on digitalocean": Difference(
        {"status": 500, "body": NO_JSON, "signed": False}, PROBE
    ),
    "unsigned trust probe on digitalocean": Difference(
        {"status": 500, "message": NO_JSON["message"]}, PROBE
    ),
    "trust probe in dev mode on digitalocean": Difference({"status": 500, "body": NO_JSON}, PROBE),
    "a refused registration": Difference({"status": 200}, "A refused registration"),
    "a_line_is_logged_once on fastapi sync": Difference(
        {
            "lines": [
                "info at the top",
                "info in a step",
                "info at the top",
                "warning between",
                "info in a step",
                "info at the top",
                "warning between",
                "error at the end",
            ]
        },
        "on FastAPI as elsewhere",
    ),
    "an_error_is_logged_unless_it_is_quiet": Difference(
        {"loud": False}, "An error that ends an attempt is logged"
    ),
    "a realtime request": Difference(
        {
            "authorization": (
                "Bearer 223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"
            )
        },
        "with the prefix of the key",
    ),
    "an_option_that_is_none": Difference({"told": None}, "an option that there is not"),
    "a_failure_handler_of_another_kind": Difference({"told": "Error"}, "A failure handler may be"),
    "awaiting_middleware_of_a_blocking_function": Difference(
        {"told": None}, "refused when the function is created"
    ),
    "what_json_lacks": Difference({"nan": ["COMPLETED", "nan"]}, "`NaN`"),
    "an_id_that_looks_like_a_repeated_one": Difference({"status": "FAILED"}, "`a:1`"),
    "the_address_of_gemini": Difference(
        {"told": ["gemini", "https://x.test/v1beta/models/m:generateContent?key=k"]},
        "The address of a Gemini model",
    ),
    "mocked: steps_that_pass": Difference({"output": [["0" * 26] * 4, 2]}, "one id for each event"),
    "mocked: a_failing_step": Difference(
        {"status": "Failed", "output": None, "error": ["ValueError", "no"]},
        "can catch the error of a step",
    ),
}


def expected_of(kit: Kit, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a case as they should come out with a package; None stands for absent."""
    difference = DIFFERENCES.get(name)
    if kit is OURS or difference is None:
        return dict(facts)
    merged = {**facts, **difference.official}
    assert merged != facts, f"{name}: the packages do not differ"
    return merged
