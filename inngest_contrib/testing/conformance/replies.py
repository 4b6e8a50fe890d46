"""Claims about replies: the tables, their headers, and that nothing is shown."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import pytest

from inngest_core.wire.signing import verify

from .adapter import Adapter
from .exchange import FALLBACK, KEY, Answered, Asked, call, signed
from .functions import PLAIN, functions
from .server import cloud_client, dev_client
from .tables import Case, cloud_cases, dev_cases, matches

SECRETS = (KEY, FALLBACK, KEY.rpartition("-")[2], FALLBACK.rpartition("-")[2])
_TIMING = r"[a-z_.]+;dur=\d+"


class Replies(Adapter):
    """Every request of the tables gets its reply, whatever the framework."""

    @pytest.mark.parametrize("name", dev_cases())
    def test_in_dev_mode(self, name: str) -> None:
        case = self._case(dev_cases(), name)
        self._check(self.answer(dev_client(), case.asked), case)

    @pytest.mark.parametrize("name", cloud_cases())
    def test_in_the_cloud(self, name: str) -> None:
        case = self._case(cloud_cases(), name)
        client = cloud_client(signing_key_fallback=FALLBACK)
        answered = self.answer(client, case.asked)
        self._check(answered, case)
        header = answered.headers.get("x-inngest-signature")
        is_signed = "x-inngest-signature" in case.asked.headers and case.status not in (401, 405)
        assert (header is not None) == is_signed
        if header is not None:
            key = FALLBACK if "fallback" in name else KEY
            assert verify(header, answered.body, [key], time.time()) == key

    def _case(self, cases: dict[str, Case], name: str) -> Case:
        if name in self.excused:
            pytest.skip(f"{self.framework} answers this itself")
        return cases[name]

    def _check(self, answered: Answered, case: Case) -> None:
        assert answered.status == case.status, answered.body[:500]
        assert answered.headers["content-type"] == "application/json"
        assert int(answered.headers["content-length"]) == len(answered.body)
        assert not answered.body.endswith(b"\n")
        if isinstance(case.reply, bytes):
            assert answered.body == case.reply
        else:
            assert matches(answered.json, case.reply), answered.body[:500]
        for secret in SECRETS:
            assert secret not in f"{answered.headers} {answered.body!r}"
        if case.status == 405:
            assert answered.headers["allow"] == "GET, HEAD, POST, PUT"
        if case.status in (401, 405):
            assert not [name for name in answered.headers if name.startswith("x-inngest")]
        else:
            self._check_headers(answered)

    def _check_headers(self, answered: Answered) -> None:
        headers = answered.headers
        assert re.fullmatch(r"inngest-py:v\d\S*", headers["x-inngest-sdk"])
        assert headers["x-inngest-framework"] == self.framework
        assert headers["x-inngest-req-version"] == "2"
        assert headers["x-inngest-sdk-handled"] == "true"
        assert headers["x-inngest-expected-server-kind"] in ("dev", "cloud")
        assert re.fullmatch(rf"{_TIMING}(, {_TIMING})*", headers["server-timing"])

    # ---- HEAD is GET without its body

    def test_head_has_the_headers_of_get_and_no_body(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client))
        head, get = (self.request(app, Asked(method)) for method in ("HEAD", "GET"))
        assert (head.status, head.body) == (200, b"")
        assert get.body
        assert _steady(head.headers) == _steady(get.headers)

    def test_an_unsigned_head_is_refused_in_the_cloud(self) -> None:
        answered = self.answer(cloud_client(), Asked("HEAD"))
        assert (answered.status, answered.body) == (401, b"")
        answered = self.answer(cloud_client(), signed(Asked("HEAD")))
        assert (answered.status, answered.body) == (200, b"")

    # ---- headers of errors, and of time

    @pytest.mark.parametrize(
        ("function", "no_retry"),
        [
            ("fail", "false"),
            ("afail", "false"),
            ("never", "true"),
            ("odd", "true"),
            ("nope", "false"),
        ],
    )
    def test_errors_say_whether_another_attempt_may_help(
        self, function: str, no_retry: str
    ) -> None:
        answered = self.answer(dev_client(), call(function))
        assert answered.headers["x-inngest-no-retry"] == no_retry

    def test_an_error_has_the_users_stack_and_none_of_the_framework(self) -> None:
        stack = self.answer(dev_client(), call("fail")).json["stack"]
        assert stack.startswith("Traceback (most recent call last):")
        assert "in fail" in stack
        assert "inngest_core" not in stack

    def test_a_call_tells_how_long_its_parts_took(self) -> None:
        timing = self.answer(dev_client(), call("plain")).headers["server-timing"]
        names = re.findall(r"([a-z_.]+);dur=\d+", timing)
        assert names[0] == "comm_handler"
        assert set(names) - {"async_block"} == {
            "comm_handler",
            "function",
            "mw.transform_input",
            "mw.transform_output",
        }

    # ---- nothing is shown, nothing is lost

    def test_no_key_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        client = cloud_client(signing_key_fallback=FALLBACK)
        app = self.serve(client, functions(client))
        for name, case in cloud_cases().items():
            if name not in self.excused:
                self.request(app, case.asked)
        for secret in SECRETS:
            assert secret not in caplog.text

    def test_after_bad_requests_it_goes_on_working(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client))
        for name, case in dev_cases().items():
            if case.status >= 400 and name not in self.excused:
                self.request(app, case.asked)
        assert self.request(app, call("plain")).body == PLAIN


def _steady(headers: Any) -> dict[str, str]:
    """The headers that do not tell of time."""
    return {name: value for name, value in headers.items() if name not in ("date", "server-timing")}
