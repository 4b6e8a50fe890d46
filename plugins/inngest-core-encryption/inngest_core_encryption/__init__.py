"""Encrypts what Inngest stores of runs and events, in the form of the official packages."""

from .cipher import SecretBoxCipher
from .middleware import EncryptionMiddleware
from .version import VERSION as __version__

__all__ = ["EncryptionMiddleware", "SecretBoxCipher", "__version__"]
