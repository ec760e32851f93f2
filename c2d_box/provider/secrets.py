"""The Provider's keys, read once from files. No ``repr`` of a class here shows a key."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path

from c2d_box.assets.addresses import keccak256
from c2d_box.assets.crypto import ecies, signatures
from c2d_box.errors import StateProblem


class ProviderKey:
    """The secp256k1 key by which the Provider is known on the chain: it reads files and signs fees."""

    def __init__(self, private_key: str) -> None:
        self.private_key = private_key
        self.address = signatures.address_of(private_key)
        self._public = signatures.private_key(private_key).public_key.format(compressed=False)

    def __repr__(self) -> str:
        return f"ProviderKey({self.address})"

    def sign(self, text: str) -> str:
        return signatures.sign_text(self.private_key, text)

    def encrypt(self, data: bytes) -> bytes:
        return ecies.encrypt(self._public, data)

    def decrypt(self, data: bytes) -> bytes:
        return ecies.decrypt(self.private_key, data)


class TokenSecret:
    """One secret, from which separate keys for tokens, grants and job ids are derived."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def derive_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes, which reveals nothing about the secret or about another purpose's key."""
        return hmac.digest(self._secret, b"c2d-provider:" + purpose.encode(), sha256)

    def __repr__(self) -> str:
        return "TokenSecret(…)"


def provider_key(directory: Path) -> ProviderKey:
    text = _read_secret(directory, "provider-key").decode("ascii", "replace").strip()
    try:
        return ProviderKey(text if text.startswith("0x") else "0x" + text)
    except ValueError:
        raise StateProblem(
            "C2D-PROVIDER-KEY", "the Provider's key is not 32 bytes of hex", "write a new key file"
        ) from None


def token_secret(directory: Path) -> TokenSecret:
    secret = _read_secret(directory, "token-secret").strip()
    if len(secret) < 16:
        raise StateProblem(
            "C2D-TOKEN-SECRET", "the token secret is shorter than 16 bytes", "write a longer one"
        )
    return TokenSecret(keccak256(secret))


def _read_secret(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise StateProblem(
            "C2D-SECRET-MISSING",
            f"the secret {name} cannot be read: {error.strerror}",
            "mount the Provider's Secret, or set secretsDir to the folder that holds it",
        ) from None
