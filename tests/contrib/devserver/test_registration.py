"""Registrations, against what a real server answered and wrote to its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.durations import go_duration
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.registration import (
    RegistrationRefused,
    describe,
    read_registration,
)

SAMPLES = Path(__file__).parents[2] / "samples" / "devserver"
CASES = json.loads((SAMPLES / "registration-errors.json").read_text())["cases"]
REFUSED = [case for case in CASES if case["status"] != 200]
ACCEPTED = [case for case in CASES if case["status"] == 200]
EXPRESSIONS = Expressions()


def read(body: str, expected_kind: str | None = None) -> Any:
    return read_registration(body.encode(), EXPRESSIONS.problem, expected_kind=expected_kind or "")


def app(**fields: Any) -> str:
    return json.dumps({"appName": "shop", "url": "http://localhost/api/inngest", **fields})


def function(**fields: Any) -> dict[str, Any]:
    runtime = {"type": "http", "url": "http://localhost/api/inngest?fnId=shop-f&stepId=step"}
    step = {"id": "step", "name": "step", "runtime": runtime}
    return {"id": "shop-f", "name": "f", "steps": {"step": step}, **fields}


def refusal(body: str) -> str:
    with pytest.raises(RegistrationRefused) as refused:
        read(body)
    return str(refused.value)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["case"])
def test_what_the_server_accepted_is_accepted(case: dict[str, Any]) -> None:
    assert read(case["body"], case["expected_kind"]).name == json.loads(case["body"])["appName"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_what_the_server_refused_is_refused_in_its_words(case: dict[str, Any]) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        read(case["body"], case["expected_kind"])
    text = str(refused.value)
    if case["log"] is None:
        # A parser's own words about broken JSON are not ours to repeat.
        assert text.startswith("Invalid request: invalid") or text == case["reply"]["error"]
        return
    assert text.startswith("At least one function is invalid: ")
    for reason in _reasons(case["log"]):
        assert reason in text
    assert text.count("; rge-") == len(_reasons(case["log"])) - 1


def _reasons(log: str) -> list[str]:
    """Split a log text into its reasons, each up to where a parser draws its arrows."""
    count, _, text = log.partition(" errors occurred: * ")
    listed = text.split(" * ", int(count) - 1)
    return [reason.partition(" ERROR: ")[0].strip() for reason in listed]


def test_the_app_is_read_whole() -> None:
    body = app(
        sdk="py:v1.0.0", framework="flask", appVersion="7", deployType="connect", functions=[]
    )
    read_app = read(body)
    assert (read_app.name, read_app.url) == ("shop", "http://localhost/api/inngest")
    assert (read_app.sdk, read_app.framework, read_app.version) == ("py:v1.0.0", "flask", "7")
    assert (read_app.method, read_app.functions) == ("connect", [])


def test_the_keys_of_the_payload_may_be_in_any_case() -> None:
    assert read(json.dumps({"appname": "shop", "URL": "http://x/"})).url == "http://x/"


def test_equal_payloads_have_equal_checksums() -> None:
    one = app(functions=[function()])
    assert read(one).checksum == read(one).checksum
    assert read(one).checksum != read(app(functions=[function(name="g")])).checksum


def test_a_function_without_an_id_is_named_after_its_name() -> None:
    nameless = {key: value for key, value in function(name="Send Mail!").items() if key != "id"}
    assert read(app(functions=[nameless])).functions[0]["id"] == "send-mail-"


def test_every_reason_names_its_function() -> None:
    text = refusal(app(functions=[function(triggers=[{}], rateLimit={"limit": 0})]))
    assert text == (
        "At least one function is invalid: "
        "shop-f: A trigger must supply an event name or a cron schedule; "
        "shop-f: limit must be greater than 0; "
        "shop-f: period must be specified"
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "Invalid request: unexpected end of JSON input"),
        ("[]", "Invalid request: the body must be a JSON object"),
        ('{"appName": 3}', "Invalid request: appname must be a string"),
        (app(functions={}), "Invalid request: functions must be a list"),
        (
            app(functions=[3]),
            "cannot unmarshal number into Go struct field SDKFunction.functions of",
        ),
        (app(functions=[None]), "cannot unmarshal null into Go struct field SDKFunction.functions"),
        (app(functions=[function(triggers={})]), "SDKFunction.functions.triggers of type list"),
        (app(functions=[function(triggers=[None])]), "functions.triggers of type object"),
        (app(functions=[function(steps=[])]), "SDKFunction.functions.steps of type object"),
        (app(functions=[function(steps={"step": None})]), "All steps must have a name"),
        (app(functions=[function(name=["x"])]), "SDKFunction.functions.name of type string"),
        (app(functions=[function(concurrency="5")]), "functions.concurrency of type int"),
        (app(functions=[function(concurrency={"limit": "5"})]), "concurrency.limit of type int"),
        (
            app(
                functions=[
                    function(triggers=[{"event": "a"}], concurrency={"limit": 1, "key": "("})
                ]
            ),
            "Invalid concurrency key '('",
        ),
        (app(functions=[function(retries=True)]), "cannot unmarshal bool"),
        (app(functions=[function(triggers=[{"cron": ""}])]), "'' isn't a valid cron schedule"),
    ],
)
def test_a_payload_of_wrong_types_is_refused(body: str, text: str) -> None:
    assert text in refusal(body)


def test_null_counts_as_absent() -> None:
    nulls = dict.fromkeys(("concurrency", "batchEvents", "rateLimit", "throttle", "cancel"))
    trigger = {"event": "a", "expression": None, "cron": None, "jitter": None}
    assert read(app(functions=[function(**nulls, triggers=[trigger])]))


def test_one_event_may_trigger_under_several_conditions() -> None:
    triggers = [{"event": "a", "expression": f"event.data.n == {n}"} for n in (1, 2)]
    assert read(app(functions=[function(triggers=triggers)]))


def test_a_refusal_says_which_app_it_was() -> None:
    with pytest.raises(RegistrationRefused) as refused:
        read(app(functions=[function(triggers=[{}])]))
    assert refused.value.url == "http://localhost/api/inngest"


def test_a_registration_is_described_for_the_log() -> None:
    assert describe(read(app(functions=[function()]))) == (
        '"shop" at http://localhost/api/inngest: shop-f'
    )


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1h30m", 5_400_000),
        ("1.5s", 1500),
        ("500ms", 500),
        ("0", 0),
        ("-1s", -1000),
        ("1us", 0.001),
    ],
)
def test_go_durations_are_read(text: str, milliseconds: float) -> None:
    assert go_duration(text) == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("1", 'time: missing unit in duration "1"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1s x", 'time: unknown unit "s x" in duration "1s x"'),
    ],
)
def test_bad_go_durations_are_refused_in_its_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        go_duration(text)
    assert str(error.value) == reason
