"""A cipher that is none: base64. It shows where a true one stands. Option: on."""

from __future__ import annotations

import base64
from typing import Any

from inngest_core import Cipher, hookimpl


class Base64(Cipher):
    name = "acme"

    def encrypt(self, text: bytes) -> str:
        return base64.b64encode(text).decode()

    def decrypt(self, sealed: str) -> bytes:
        return base64.b64decode(sealed)


@hookimpl
def inngest_cipher(config: Any) -> Any:
    return Base64() if config.options("acme-cipher").get("on") else None
