"""
The types at the edges: what plugins, serializers and middleware are handed and give back.

Law: pluggy is not imported here, so that declaring a hook costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

from ..types import EmptySentinel
from ..wire.http import HttpRequest, HttpResponse
from ..wire.names import Opcode

F = TypeVar("F", bound=Callable[..., Any])

PROJECT = "inngest"
"""pluggy's project name, and the entry-point group of plugins."""

FRAMEWORKS = "inngest.frameworks"
"""The entry-point group of adapters, which are loaded by name only."""


API_VERSION = 1
"""The plugin API of this version; a plugin that needs a newer one says so and is refused."""

OLDEST_API_VERSION = 1
"""The oldest plugin API that is still served."""


@overload
def hookimpl(function: F) -> F: ...


@overload
def hookimpl(*, trylast: bool = False, tryfirst: bool = False) -> Callable[[F], F]: ...


def hookimpl(function: Any = None, *, trylast: bool = False, tryfirst: bool = False) -> Any:
    """Mark a function as the implementation of the hook of the same name."""

    def mark(target: F) -> F:
        # What pluggy.HookimplMarker sets, without importing pluggy.
        options = {
            "hookwrapper": False,
            "wrapper": False,
            "optionalhook": False,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": None,
        }
        setattr(target, f"{PROJECT}_impl", options)
        return target

    return mark if function is None else mark(function)


@runtime_checkable
class Serializer(Protocol):
    """Turns Python values into JSON values and back."""

    def serialize(self, obj: object, typ: object) -> object:
        """The JSON value of *obj*, which is of type *typ*."""

    def deserialize(self, obj: object, typ: object) -> object:
        """The value of type *typ* whose JSON value is *obj*."""


class BlockingTransport(Protocol):
    """Carries requests from threads. Must be safe to share between them."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """The reply; TransportError if there is none."""

    def close(self) -> None:
        """Give back what was opened; a later send opens it again."""


class AsyncTransport(Protocol):
    """Carries requests from event loops. Must be safe to share between loops."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The reply; TransportError if there is none."""

    async def close(self) -> None:
        """Give back what was opened for the running loop; a later send opens it again."""


class WebSocket(Protocol):
    """One open websocket. It is used by one task at a time in each direction."""

    async def send(self, data: bytes) -> None:
        """Send a binary frame; SocketClosedError if it cannot be sent."""

    async def receive(self) -> bytes | str:
        """The next frame, text if it is one of text; SocketClosedError if none will come."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close it, within a second or two even if the other side is not there any more."""


class WebSocketTransport(Protocol):
    """Opens websockets, from any event loop."""

    async def connect(self, url: str, *, subprotocol: str, timeout: float) -> WebSocket:
        """An open websocket; TransportError if there is none within *timeout* seconds."""
        ...


@runtime_checkable
class Cipher(Protocol):
    """
    Hides texts from the server. Derive from it for the defaults, or have all five.

    name: stands on the wire beside what it has encrypted, and leads back to it.
    event_field: the field of event data that is encrypted. decrypt_only: it encrypts
    nothing any more. It is asked from several threads at once.
    """

    name: str
    event_field: str = "encrypted"
    decrypt_only: bool = False

    def encrypt(self, text: bytes) -> str:
        """What the server sees in the place of *text*, which is JSON."""
        ...

    def decrypt(self, sealed: str) -> bytes:
        """
        The text behind what ``encrypt`` made of it.

        CipherError, saying what to do, if that cannot be had: with neither key nor text in it.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Framework:
    """An adapter: its name on the wire, its version, and the dotted path of its serve."""

    name: str
    version: str
    serve: str


@dataclasses.dataclass(frozen=True, slots=True)
class StepInfo:
    """
    The step that is about to execute.

    id: the user's; hashed_id: the wire's; index: which repetition of the id, None for the first.
    """

    id: str
    hashed_id: str
    index: int | None
    op: Opcode


@dataclasses.dataclass
class TransformOutputStepInfo:
    """The step whose output is transformed. opts: what is sent, open to change."""

    id: str
    op: Opcode
    opts: dict[str, Any] | None


@dataclasses.dataclass
class TransformOutputResult:
    """The output or error of a step, or of the function where step is None."""

    error: Exception | None
    output: object
    step: TransformOutputStepInfo | None

    def has_output(self) -> bool:
        """Whether there is an output; a returned None is one, an error and a pause are not."""
        return self.output is not EmptySentinel


class Memo:
    """One memo, open to change."""

    __slots__ = ("_hashed_id", "_memos")

    def __init__(self, memos: dict[str, Any], hashed_id: str) -> None:
        self._memos = memos
        self._hashed_id = hashed_id

    @property
    def hashed_id(self) -> str:
        """The hash of the step's id, by which the server knows the step."""
        return self._hashed_id

    @property
    def data(self) -> Any:
        memo = self._memos[self._hashed_id]
        return memo.get("data") if _wrapped(memo) else memo

    @data.setter
    def data(self, value: Any) -> None:
        if value is None and self.error is not None:
            # Whoever sets what he has read, changed or not, does not mean that it succeeded.
            return
        wrapped = _wrapped(self._memos[self._hashed_id])
        self._memos[self._hashed_id] = {"data": value} if wrapped else value

    @property
    def error(self) -> Any:
        memo = self._memos[self._hashed_id]
        return memo.get("error") if _wrapped(memo) else None

    @error.setter
    def error(self, value: Any) -> None:
        self._memos[self._hashed_id] = {"error": value}


def _wrapped(memo: Any) -> bool:
    """Whether a memo is ``{"data"}`` or ``{"error"}``, and not null or an event."""
    return isinstance(memo, dict) and "name" not in memo and ("data" in memo or "error" in memo)


class StepMemos:
    """The memos of a call, as ``transform_input`` sees them."""

    def __init__(self, memos: dict[str, Any]) -> None:
        self._memos = memos

    @property
    def size(self) -> int:
        return len(self._memos)

    def pop(self, hashed_id: str) -> Memo | type[EmptySentinel]:
        """Take a memo out, as if its step had not run yet; EmptySentinel if it is not there."""
        if hashed_id not in self._memos:
            return EmptySentinel
        return Memo({hashed_id: self._memos.pop(hashed_id)}, hashed_id)

    def values(self) -> Iterator[Memo]:
        """Every memo. Setting its data or error changes what the function sees."""
        return (Memo(self._memos, hashed_id) for hashed_id in tuple(self._memos))
