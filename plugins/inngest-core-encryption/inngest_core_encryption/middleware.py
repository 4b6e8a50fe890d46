"""
The middleware, with the signature of the official package.

The plugin does the same and more, since the core knows what it encrypts: see the README.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inngest_core import (
    Context,
    ContextSync,
    Event,
    Function,
    Inngest,
    MiddlewareSync,
    Opcode,
    Sealer,
    StepMemos,
    TransformOutputResult,
)

from .cipher import Key, SecretBoxCipher, warn_of_short

_NOT_JSON = (TypeError, ValueError)
_EVENT_KEYS = {"data", "id", "name"}


class EncryptionMiddleware(MiddlewareSync):
    """
    Encrypts outputs, and one field of what becomes the data of events; decrypts both.

    secret_key: a text of any length, or 32 bytes as their hex text in bytes. decrypt_only:
    encrypts nothing. event_encryption_field: the field that is encrypted, also of what other
    functions are invoked with. fallback_decryption_keys: keys of before.
    """

    def __init__(
        self,
        client: Inngest,
        raw_request: object,
        secret_key: Key,
        *,
        decrypt_only: bool = False,
        event_encryption_field: str = "encrypted",
        fallback_decryption_keys: Sequence[Key] | None = None,
    ) -> None:
        super().__init__(client, raw_request)
        cipher = SecretBoxCipher(
            secret_key,
            fallback_keys=fallback_decryption_keys or (),
            event_field=event_encryption_field,
            decrypt_only=decrypt_only,
        )
        self._sealer = Sealer([cipher])

    @classmethod
    def factory(
        cls,
        secret_key: Key,
        *,
        decrypt_only: bool = False,
        event_encryption_field: str = "encrypted",
        fallback_decryption_keys: Sequence[Key] | None = None,
    ) -> Callable[[Inngest, object], EncryptionMiddleware]:
        """What ``middleware=[...]`` takes. Raises ConfigError for what is no key."""
        SecretBoxCipher(
            secret_key,
            fallback_keys=fallback_decryption_keys or (),
            event_field=event_encryption_field,
        )
        warn_of_short(secret_key, "secret_key")

        def make(client: Inngest, raw_request: object) -> EncryptionMiddleware:
            return cls(
                client,
                raw_request,
                secret_key,
                decrypt_only=decrypt_only,
                event_encryption_field=event_encryption_field,
                fallback_decryption_keys=fallback_decryption_keys,
            )

        return make

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Decrypt memos and events. Raises CipherError."""
        for memo in steps.values():
            found = memo.data
            opened = self._opened(found, f"step {memo.hashed_id}")
            if opened is not found:
                memo.data = opened
        self._open_event(ctx.event, "event")
        for number, event in enumerate(ctx.events):
            self._open_event(event, f"events[{number}]")

    def before_send_events(self, events: list[Event]) -> None:
        """Encrypt one field of each event; the caller's own events stay as they are."""
        for number, event in enumerate(events):
            data = self._sealed_data(event.data)
            if data is not event.data:
                events[number] = event.model_copy(update={"data": data})

    def transform_output(self, result: TransformOutputResult) -> None:
        """Encrypt an output; of what another function is started with, one field."""
        if result.has_output():
            result.output = self._sealed(result.output)
        step = result.step
        if step is None or step.opts is None:
            return
        if step.op is Opcode.INVOKE:
            step.opts = {**step.opts, "payload": self._payload(step.opts.get("payload"))}
        elif step.op is Opcode.DEFER_ADD:
            step.opts = {**step.opts, "input": self._sealed_data(step.opts.get("input"))}

    def _opened(self, found: Any, where: str) -> Any:
        if isinstance(found, dict) and found.keys() >= _EVENT_KEYS:
            return self._sealer.open_event(found, where)
        return self._sealer.open_output(found, where)

    def _open_event(self, event: Event, where: str) -> None:
        record = {"name": event.name, "data": event.data}
        event.data = self._sealer.open_event(record, where)["data"]

    def _payload(self, payload: Any) -> Any:
        if not isinstance(payload, Mapping):
            return payload
        return {**payload, "data": self._sealed_data(payload.get("data"))}

    def _sealed(self, output: object) -> object:
        try:
            return self._sealer.seal(output)
        except _NOT_JSON:
            # Left as it is, the core refuses it, naming the step.
            return output

    def _sealed_data(self, data: Any) -> Any:
        try:
            return self._sealer.seal_data(data) if isinstance(data, Mapping) else data
        except _NOT_JSON:
            return data
