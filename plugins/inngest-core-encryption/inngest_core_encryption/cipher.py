"""
The cipher: libsodium's SecretBox, with keys and texts in the form of the official packages.

Law: a key is in no representation, no message and no log line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Sequence

from inngest_core import Cipher, CipherError, ConfigError
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

Key = bytes | str

STRATEGY = "inngest/libsodium"
SHORT = 16
"""A text below that many characters can be guessed: it is hashed once, which is quick."""

_OVERHEAD = SecretBox.NONCE_SIZE + SecretBox.MACBYTES
_log = logging.getLogger("inngest")


class SecretBoxCipher(Cipher):
    """
    Encrypts with *key*; decrypts with it and with *fallback_keys*.

    A key is a text of any length, or 32 bytes as their hex text in bytes. event_field: the
    field of event data that is encrypted. decrypt_only: nothing is encrypted any more.
    Raises ConfigError, naming the argument, for what is no key.
    """

    name = STRATEGY

    def __init__(
        self,
        key: Key,
        *,
        fallback_keys: Sequence[Key] = (),
        event_field: str = "encrypted",
        decrypt_only: bool = False,
    ) -> None:
        if isinstance(fallback_keys, (bytes, str)):
            raise ConfigError("fallback_keys: expected a list of keys, got a single one")
        self.event_field = _field(event_field)
        self.decrypt_only = decrypt_only
        self._box = _box(key, "key")
        fallbacks = [_box(one, f"fallback_keys[{n}]") for n, one in enumerate(fallback_keys)]
        self._boxes = (self._box, *fallbacks)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def encrypt(self, text: bytes) -> str:
        """See Cipher.encrypt."""
        return base64.b64encode(self._box.encrypt(text)).decode()

    def decrypt(self, sealed: str) -> bytes:
        """See Cipher.decrypt."""
        raw = _decoded(sealed)
        for box in self._boxes:
            try:
                return box.decrypt(raw)
            except CryptoError:
                continue
        raise CipherError(
            "it cannot be decrypted: it was encrypted with none of the keys that are given here, "
            "or it was changed since. Give the key of then as one of the fallback keys"
        )


def warn_of_short(key: Key, argument: str) -> None:
    """Say of a text that it is too short for a key."""
    if isinstance(key, str) and len(key) < SHORT:
        _log.warning(
            "encryption: %s has fewer than %d characters and can be guessed; a good one is made by "
            'python -c "import secrets; print(secrets.token_hex(32))". Keep this one as a '
            "fallback key until the last run of now has ended",
            argument,
            SHORT,
        )


def _field(name: object) -> str:
    if isinstance(name, str) and name:
        return name
    raise ConfigError("event_field: expected the name of a field of event data")


def _box(key: Key, argument: str) -> SecretBox:
    if isinstance(key, str):
        return SecretBox(_hashed(key, argument))
    if isinstance(key, bytes):
        return SecretBox(_unhexed(key, argument))
    raise ConfigError(f"{argument}: expected a text, or bytes in hex, got {type(key).__name__}")


def _hashed(key: str, argument: str) -> bytes:
    if not key.strip():
        raise ConfigError(f"{argument}: it is empty; is the variable set that it comes from?")
    try:
        text = key.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{argument}: it is no Unicode text") from None
    return hashlib.blake2b(text, digest_size=SecretBox.KEY_SIZE).digest()


def _unhexed(key: bytes, argument: str) -> bytes:
    try:
        raw = binascii.unhexlify(key)
    except ValueError:
        raw = b""
    if len(raw) != SecretBox.KEY_SIZE:
        raise ConfigError(
            f"{argument}: as bytes a key is the hex text of {SecretBox.KEY_SIZE} bytes, "
            f"{2 * SecretBox.KEY_SIZE} digits; this one has {len(key)} bytes. Any other secret is "
            "given as a text"
        )
    return raw


def _decoded(sealed: str) -> bytes:
    try:
        raw = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise CipherError("it cannot be decrypted: it is damaged, and no base64 any more") from None
    if len(raw) < _OVERHEAD:
        raise CipherError("it cannot be decrypted: it was cut off")
    return raw
