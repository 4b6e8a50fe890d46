"""Claims about streamed replies, of adapters that offer them."""

from __future__ import annotations

from typing import Any

import pytest

from inngest_core import Streaming

from .adapter import Adapter
from .exchange import Answered, Asked, call, signed
from .functions import functions
from .server import cloud_client, dev_client


class Streams(Adapter):
    """A streamed reply begins with a space and ends with status, headers and body as one object."""

    def _streamed(self, asked: Asked, client: Any = None) -> Answered:
        if not self.streams:
            pytest.skip(f"{self.framework} does not stream")
        return self.answer(client or dev_client(), asked, streaming=Streaming.FORCE)

    @pytest.mark.parametrize(
        ("function", "status"),
        [("plain", 200), ("aplain", 200), ("step", 206), ("astep", 206), ("fail", 500)],
    )
    def test_a_call_is_streamed(self, function: str, status: int) -> None:
        streamed = self._streamed(call(function))
        assert streamed.status == 201
        assert streamed.headers["x-inngest-sdk"].startswith("inngest-py:")
        assert "content-length" not in streamed.headers
        assert streamed.body.startswith(b" ")
        told = streamed.json
        assert set(told) == {"body", "headers", "status"}
        assert told["status"] == status
        assert told["headers"]["x-inngest-framework"] == self.framework
        assert told["body"] == self.answer(dev_client(), call(function)).json

    def test_only_calls_of_known_functions_are_streamed(self) -> None:
        assert self._streamed(Asked("GET")).status == 200
        assert self._streamed(call("nope")).status == 500

    def test_a_forged_call_is_refused_in_the_stream(self) -> None:
        forged = self._streamed(signed(call("plain"), "ffff"), cloud_client())
        assert forged.json["status"] == 401
        assert self._streamed(signed(call("plain")), cloud_client()).json["status"] == 200

    def test_a_variable_turns_streaming_on_and_the_option_beats_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.streams:
            pytest.skip(f"{self.framework} does not stream")
        monkeypatch.setenv("INNGEST_STREAMING", "force")
        client = dev_client()
        assert self.answer(client, call("plain")).status == 201
        quiet = self.serve(client, client.functions, streaming=Streaming.DISABLE)
        assert self.request(quiet, call("plain")).status == 200

    def test_without_streaming_the_variable_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if self.streams:
            pytest.skip(f"{self.framework} streams")
        monkeypatch.setenv("INNGEST_STREAMING", "force")
        client = dev_client()
        app = self.serve(client, functions(client))
        for function in ("plain", "aplain"):
            assert self.request(app, call(function)).status == 200
