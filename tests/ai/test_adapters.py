"""The facts of each provider, the arguments of the official package, and keys that nobody sees."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from inngest_core.ai import BaseAdapter, anthropic, deepseek, gemini, grok, openai

KEY = "sk-very-secret"
PROVIDERS = [anthropic, deepseek, gemini, grok, openai]
FACTS = [
    (openai, "openai-chat", "https://api.openai.com/v1/chat/completions", {}),
    (grok, "openai-chat", "https://api.x.ai/v1/chat/completions", {}),
    (deepseek, "openai-chat", "https://api.deepseek.com/v1/chat/completions", {}),
    (
        anthropic,
        "anthropic",
        "https://api.anthropic.com/v1/messages",
        {"anthropic-version": "2023-06-01"},
    ),
    (
        gemini,
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/models/m-1:generateContent",
        {},
    ),
]


def named(provider: Any) -> str:
    return provider.__name__.rpartition(".")[2] if inspect.ismodule(provider) else "-"


def adapter_of(provider: Any, **options: Any) -> Any:
    return provider.Adapter(**{"auth_key": KEY, "model": "m-1", **options})


@pytest.mark.parametrize(("provider", "dialect", "url", "headers"), FACTS, ids=named)
def test_an_adapter_knows_its_provider(
    provider: Any, dialect: str, url: str, headers: dict[str, str]
) -> None:
    adapter = adapter_of(provider)
    assert isinstance(adapter, BaseAdapter)
    assert adapter.auth_key() == KEY
    assert adapter.format() == dialect
    assert adapter.url_infer() == url
    assert adapter.headers() == headers


@pytest.mark.parametrize("provider", PROVIDERS, ids=named)
def test_the_arguments_are_those_of_the_official_package(provider: Any) -> None:
    assert str(inspect.signature(provider.Adapter)) == (
        "(*, auth_key: 'str', base_url: 'str | None' = None, "
        "headers: 'dict[str, str] | None' = None, model: 'str') -> 'None'"
    )


@pytest.mark.parametrize("provider", PROVIDERS, ids=named)
def test_a_body_without_a_model_gets_the_adapters(provider: Any) -> None:
    body: dict[str, object] = {}
    adapter_of(provider).on_call(body)
    assert body == {"model": "m-1"}
    body = {"model": "m-2", "n": 1}
    adapter_of(provider).on_call(body)
    assert body == {"model": "m-2", "n": 1}


@pytest.mark.parametrize("base_url", ["http://llm.example:1/v9", "http://llm.example:1/v9/"])
@pytest.mark.parametrize(("provider", "dialect", "url", "headers"), FACTS, ids=named)
def test_another_address_keeps_the_path(
    base_url: str, provider: Any, dialect: str, url: str, headers: dict[str, str]
) -> None:
    path = url.partition("/v1beta" if provider is gemini else "/v1")[2]
    found = adapter_of(provider, base_url=base_url).url_infer()
    assert found == "http://llm.example:1/v9" + path


def test_gemini_leaves_its_key_to_the_server_which_adds_it_to_the_query() -> None:
    assert KEY not in adapter_of(gemini).url_infer()


def test_headers_are_added_to_the_usual_ones_and_win_in_any_case() -> None:
    assert adapter_of(anthropic, headers={"x-a": "1"}).headers() == {
        "anthropic-version": "2023-06-01",
        "x-a": "1",
    }
    newer = adapter_of(anthropic, headers={"Anthropic-Version": "2030-01-01"})
    assert newer.headers() == {"Anthropic-Version": "2030-01-01"}


def test_what_is_done_with_the_headers_does_not_come_back() -> None:
    adapter = adapter_of(anthropic)
    adapter.headers().clear()
    assert adapter.headers() == {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("provider", PROVIDERS, ids=named)
def test_an_adapter_is_shown_without_its_key(provider: Any) -> None:
    adapter = adapter_of(provider, headers={"authorization": KEY}, base_url=f"http://u:{KEY}@h")
    for shown in (repr(adapter), str(adapter), f"{adapter}", repr([adapter])):
        assert KEY not in shown
        assert shown.strip("[]") == f"inngest_core.ai.{named(provider)}.Adapter(model='m-1')"


def test_an_adapter_can_be_copied_and_sent_to_another_process() -> None:
    for twin in (copy.deepcopy(adapter_of(openai)), pickle.loads(pickle.dumps(adapter_of(openai)))):
        assert twin.auth_key() == KEY
