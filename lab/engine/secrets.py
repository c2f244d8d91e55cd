"""The passphrase secrets provider: AES-256-GCM under a key of PBKDF2-SHA256, in the official text format.

The description of a stack's key is `v1:<salt>:<check>`, where `<check>` is the word `pulumi` encrypted with
it; a ciphertext is `v1:<nonce>:<ciphertext and tag>`; all in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from lab.engine.errors import EngineError, RefusedError

_ROUNDS = 1_000_000
_CHECK_WORD = "pulumi"


def passphrase() -> str:
    """The passphrase of the environment.

    Raises:
        EngineError: neither of the two variables is set, or the file cannot be read.
    """
    if (value := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return value
    if file := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise EngineError(
                f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE {file}: {error.strerror}"
            ) from error
    raise EngineError(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE "
        "environment variables"
    )


@lru_cache(maxsize=64)
def _key(phrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", phrase.encode(), salt, _ROUNDS, dklen=32)


def _seal(key: bytes, text: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (slow, seldom needed)

    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _open(key: bytes, text: str) -> str:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        version, nonce, sealed = text.split(":")
        if version != "v1":
            raise EngineError(f"an encrypted value has the unknown version {version!r}, expected v1")
        return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(sealed), None).decode()
    except InvalidTag as error:
        raise EngineError("incorrect passphrase: a value could not be decrypted") from error
    except (ValueError, binascii.Error) as error:
        raise EngineError(f"an encrypted value is malformed: {error}") from error


class Crypter:
    """Encrypts and decrypts with a stack's key, which is derived when it is first needed.

    What was decrypted keeps its ciphertext when it is encrypted again: unchanged state is unchanged text.
    """

    def __init__(self, description: str) -> None:
        """Takes the key's description `v1:<salt>:<check>`.

        Raises:
            EngineError: the description is malformed.
        """
        parts = description.split(":", 2)
        if len(parts) != 3 or parts[0] != "v1":
            raise EngineError("the encryption salt is malformed, expected v1:<salt>:<check>")
        self.description = description
        try:
            self._salt = base64.b64decode(parts[1], validate=True)
        except binascii.Error as error:
            raise EngineError(f"the encryption salt is malformed: {error}") from error
        self._check = parts[2]
        self._known: dict[str, str] = {}
        self._checked = False

    @classmethod
    def create(cls) -> Crypter:
        """A crypter with a new salt, under the environment's passphrase."""
        salt = os.urandom(8)
        check = _seal(_key(passphrase(), salt), _CHECK_WORD)
        return cls(f"v1:{base64.b64encode(salt).decode()}:{check}")

    def _derived(self) -> bytes:
        key = _key(passphrase(), self._salt)
        if not self._checked:
            try:
                _open(key, self._check)
            except EngineError as error:
                raise EngineError("incorrect passphrase") from error
            self._checked = True
        return key

    def encrypt(self, text: str) -> str:
        """The ciphertext of `text`."""
        if text not in self._known:
            self._known[text] = _seal(self._derived(), text)
        return self._known[text]

    def decrypt(self, text: str) -> str:
        """The text of a ciphertext.

        Raises:
            EngineError: the passphrase is not the one it was encrypted with, or the ciphertext is malformed.
        """
        found = _open(self._derived(), text)
        self._known[found] = text
        return found


def require_passphrase_provider(kind: str) -> None:
    """Refuses every secrets provider but `passphrase` (also called `default` and the empty name).

    Raises:
        RefusedError: it is another one.
    """
    if kind not in {"", "default", "passphrase"}:
        raise RefusedError(f"the secrets provider {kind!r}")
