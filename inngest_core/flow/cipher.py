"""
What the server does not see: values are sealed on their way out, and opened on their way in.

Sealed are whole outputs, of steps and of functions, and one field of what becomes the data of an
event; the form is that of the official packages. Law: no error of this file holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import CipherError, ConfigError
from ..execution.op import Op
from ..execution.reply import dump, unserializable
from ..plugin.types import Cipher
from ..wire.call import CallRequest
from ..wire.names import Opcode

MARKER = "__ENCRYPTED__"
STRATEGY = "__STRATEGY__"
_ENVELOPE = frozenset({MARKER, STRATEGY, "data"})
_SIGNAL = frozenset({"signal", "data"})
_ABOUT_RUNS = "inngest/function."
"""The events of servers about runs, which hold the events that started them."""

Data = Mapping[str, Any]


class Sealer:
    """Seals with the first of some ciphers, and opens what bears the name of any of them."""

    __slots__ = ("_cipher", "_field", "_known")

    def __init__(self, ciphers: Sequence[Cipher]) -> None:
        self._known: dict[str, Cipher] = {}
        for cipher in ciphers:
            self._add(cipher)
        self._cipher = next((one for one in ciphers if not one.decrypt_only), None)
        self._field = (self._cipher or ciphers[0]).event_field

    def _add(self, cipher: Cipher) -> None:
        if isinstance(cipher, type) or not isinstance(cipher, Cipher):
            kind = getattr(cipher, "__qualname__", type(cipher).__qualname__)
            raise ConfigError(
                f"inngest_cipher: {kind} is no cipher; return an instance of a class that is "
                "derived from inngest_core.Cipher"
            )
        if cipher.name in self._known:
            raise ConfigError(
                f'inngest_cipher: there are two ciphers "{cipher.name}", and each opens what bears '
                "its name; switch one of their plugins off with INNGEST_DISABLE_PLUGINS"
            )
        self._known[cipher.name] = cipher

    # ---- out

    def seal(self, value: object) -> object:
        """
        What the server sees in the place of *value*. What is sealed already stays as it is.

        Raises CipherError; and TypeError, ValueError or RecursionError for what is not JSON.
        """
        cipher = self._cipher
        if cipher is None or _is_sealed(value):
            return value
        # What UTF-8 cannot hold, half of a surrogate pair, becomes the escape of JSON for it.
        text = dump(value).encode("utf-8", "backslashreplace")
        try:
            sealed = cipher.encrypt(text)
        except CipherError:
            raise
        except Exception as error:
            raise _failed(cipher, "encrypt", error) from None
        return {MARKER: True, STRATEGY: cipher.name, "data": sealed}

    def seal_data(self, data: Data) -> Data:
        """What becomes the data of an event, its one field sealed. Raises as ``seal``."""
        if self._field not in data:
            return data
        return {**data, self._field: self.seal(data[self._field])}

    # ---- in

    def open(self, value: Any, where: str) -> Any:
        """
        The value behind *value* if that is sealed by a cipher of ours; else *value* itself.

        where: what to call it in the CipherError.
        """
        cipher = self._cipher_of(value)
        if cipher is None:
            return value
        sealed = value.get("data")
        if not isinstance(sealed, str):
            raise CipherError(f'{where}: it is encrypted by "{cipher.name}", but holds no text')
        try:
            return json.loads(cipher.decrypt(sealed))
        except CipherError as error:
            raise CipherError(f"{where}: {error}") from None
        except Exception as error:
            raise CipherError(f"{where}: {_failed(cipher, 'decrypt', error)}") from None

    def open_data(self, data: Data, where: str) -> Data:
        """The data of an event: opened as a whole, or else in the first field that is sealed."""
        if self._cipher_of(data) is not None:
            return self._open_whole(data, where)
        for key in sorted(data, key=lambda key: key != self._field):
            if self._cipher_of(data[key]) is not None:
                return {**data, key: self.open(data[key], f"{where}.{key}")}
        return data

    def open_event(self, event: dict[str, Any], where: str) -> dict[str, Any]:
        """An event as the wire carries it; with those inside it, where it tells of a run."""
        data = event.get("data")
        if not isinstance(data, Mapping):
            return event
        opened = self.open_data(data, f"{where}.data")
        if str(event.get("name")).startswith(_ABOUT_RUNS):
            opened = self._open_inner(opened, f"{where}.data")
        return event if opened is data else {**event, "data": opened}

    def open_output(self, found: Any, where: str) -> Any:
        """What the memo of a step holds: an output, or a signal with something like event data."""
        if not isinstance(found, dict):
            return found
        if found.keys() == _SIGNAL and isinstance(found["data"], dict):
            opened = self.open_data(found["data"], f"{where}.data")
            return found if opened is found["data"] else {**found, "data": opened}
        return self.open(found, where)

    def _cipher_of(self, value: object) -> Cipher | None:
        if not isinstance(value, dict) or value.get(MARKER) is not True:
            return None
        strategy = value.get(STRATEGY)
        return self._known.get(strategy) if isinstance(strategy, str) else None

    def _open_whole(self, data: Data, where: str) -> Data:
        opened = self.open(data, where)
        if not isinstance(opened, dict):
            raise CipherError(f"{where}: what was encrypted is no object, as event data must be")
        # What servers have added to it, such as who has invoked the function.
        rest = {key: value for key, value in data.items() if key not in _ENVELOPE}
        return {**rest, **opened}

    def _open_inner(self, data: Data, where: str) -> Data:
        opened = dict(data)
        if isinstance(event := data.get("event"), dict):
            opened["event"] = self._open_plain(event, f"{where}.event")
        if isinstance(events := data.get("events"), list):
            opened["events"] = [
                self._open_plain(one, f"{where}.events[{n}]") for n, one in enumerate(events)
            ]
        return opened

    def _open_plain(self, event: Any, where: str) -> Any:
        """An event inside another one: inside of that one no more are looked for."""
        data = event.get("data") if isinstance(event, dict) else None
        if not isinstance(data, Mapping):
            return event
        return {**event, "data": self.open_data(data, f"{where}.data")}


def new_sealer(ciphers: Sequence[Cipher]) -> Sealer | None:
    """What seals and opens, or None where nothing is encrypted."""
    return Sealer(ciphers) if ciphers else None


def seal_op(sealer: Sealer | None, op: Op) -> Op:
    """Seal what an op carries; OutputUnserializableError naming its step if that is not JSON."""
    if sealer is None or op.text is not None or op.error is not None:
        return op
    try:
        _seal_op(sealer, op)
    except (TypeError, ValueError, RecursionError) as error:
        raise unserializable(op) from error
    return op


def _seal_op(sealer: Sealer, op: Op) -> None:
    if op.code is Opcode.STEP_RUN:
        op.data = sealer.seal(op.data)
    elif op.code is Opcode.DEFER_ADD and op.opts is not None:
        op.opts = {**op.opts, "input": sealer.seal_data(op.opts["input"])}
    elif op.code is Opcode.INVOKE and op.opts is not None:
        op.opts = {**op.opts, "payload": _sealed_payload(sealer, op.opts.get("payload"))}


def _sealed_payload(sealer: Sealer, payload: Any) -> Any:
    """The payload of an invoke, unless middleware has made something else of it."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    return {**payload, "data": sealer.seal_data(data)} if isinstance(data, Mapping) else payload


def open_call(sealer: Sealer, call: CallRequest) -> None:
    """Open everything that a call brings: events and memos."""
    try:
        call.event = sealer.open_event(call.event, "event")
        call.events = [
            sealer.open_event(event, f"events[{n}]") for n, event in enumerate(call.events)
        ]
        _open_memos(sealer, call.steps)
    except CipherError as error:
        raise CipherError(f"{call.function_id}, run {call.run_id}: {error}") from None


def _open_memos(sealer: Sealer, memos: dict[str, Any]) -> None:
    for hashed, memo in memos.items():
        if not isinstance(memo, dict):
            continue
        where = "step " + hashed
        if "name" in memo:
            memos[hashed] = sealer.open_event(memo, where)
        elif MARKER in memo:
            # Of an older server, which wraps no outputs.
            memos[hashed] = {"data": sealer.open(memo, where)}
        elif "data" in memo:
            memo["data"] = sealer.open_output(memo["data"], where)


def _is_sealed(value: object) -> bool:
    """Whether *value* is sealed and holds nothing beside that the server would come to see."""
    return (
        isinstance(value, dict)
        and value.keys() == _ENVELOPE
        and value[MARKER] is True
        and isinstance(value[STRATEGY], str)
        and isinstance(value["data"], str)
    )


def _failed(cipher: Cipher, verb: str, error: Exception) -> CipherError:
    # What it says is not repeated: it may be the value.
    return CipherError(f'the cipher "{cipher.name}" failed to {verb}: {type(error).__name__}')
