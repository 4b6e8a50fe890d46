"""
What an adapter tells of its provider, and what those of this package have in common.

Law: a key is shown to no one but the server. No repr, error or log line carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable


@runtime_checkable
class BaseAdapter(Protocol):
    """One provider of models. Write these five methods to speak to another one."""

    def auth_key(self) -> str:
        """The provider's API key. The server puts it where ``format`` expects it."""
        ...

    def format(self) -> str:
        """The dialect: ``openai-chat``, ``anthropic``, ``gemini`` or ``bedrock``."""
        ...

    def headers(self) -> dict[str, str]:
        """Further headers of the request."""
        ...

    def on_call(self, body: dict[str, object]) -> None:
        """Complete the body of a request, in place."""
        ...

    def url_infer(self) -> str:
        """The address to which the body is posted."""
        ...


class Provider:
    """An adapter of which only the facts differ: an address, a path, a dialect."""

    origin: ClassVar[str]
    path: ClassVar[str] = "/chat/completions"
    dialect: ClassVar[str] = "openai-chat"
    usual_headers: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        *,
        auth_key: str,
        base_url: str | None = None,
        headers: dict[str, str] | None = None,
        model: str,
    ) -> None:
        self._auth_key = auth_key
        self._headers = _merged(self.usual_headers, headers or {})
        self._model = model
        self._base_url = (base_url or self.origin).rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}(model={self._model!r})"

    def auth_key(self) -> str:
        """The provider's API key."""
        return self._auth_key

    def format(self) -> str:
        """The dialect of the provider."""
        return self.dialect

    def headers(self) -> dict[str, str]:
        """Further headers of the request."""
        return dict(self._headers)

    def on_call(self, body: dict[str, object]) -> None:
        """Name the model where the body names none."""
        if not body.get("model"):
            body["model"] = self._model

    def url_infer(self) -> str:
        """The address to which the body is posted."""
        return self._base_url + self.path


def _merged(usual: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The usual headers and those given, which win under whatever case they are written in."""
    taken = {name.lower() for name in given}
    kept = {name: value for name, value in usual.items() if name not in taken}
    return {**kept, **given}
