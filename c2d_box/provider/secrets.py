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
        """Return the signature of a text (EIP-191 over its keccak256), which operator-service verifies."""
        return signatures.sign_text(self.private_key, text)

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt for this Provider alone (ECIES). The public half suffices, so anybody could do it."""
        return ecies.encrypt(self._public, data)

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt what was encrypted for this Provider. Raise ValueError for anything else."""
        return ecies.decrypt(self.private_key, data)


class TokenSecret:
    """One secret, from which separate keys for tokens, grants and job ids are derived."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def derive_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes, which reveals nothing about the secret or about another purpose's key."""
        # HMAC as a key derivation: one direction only, and the prefix keeps other uses of the secret apart.
        return hmac.digest(self._secret, b"c2d-provider:" + purpose.encode(), sha256)

    def __repr__(self) -> str:
        return "TokenSecret(…)"


def provider_key(directory: Path) -> ProviderKey:
    """Read the Provider's key. Raise StateProblem where it is missing or no key, so that a wrong mount
    ends the start and not the first request."""
    # Keys are written with and without 0x, and files mostly end in a line break.
    text = _read_secret(directory, "provider-key").decode("ascii", "replace").strip()
    try:
        return ProviderKey(text if text.startswith("0x") else "0x" + text)
    except ValueError:
        raise StateProblem(
            "C2D-PROVIDER-KEY", "the Provider's key is not 32 bytes of hex", "write a new key file"
        ) from None


def token_secret(directory: Path) -> TokenSecret:
    """Read the secret from which token, grant and job keys are derived. A new one ends all tokens and
    grants."""
    secret = _read_secret(directory, "token-secret").strip()
    # Tokens are public samples of an HMAC with a derived key, so a short secret could be found by trying.
    if len(secret) < 16:
        raise StateProblem(
            "C2D-TOKEN-SECRET", "the token secret is shorter than 16 bytes", "write a longer one"
        )
    # Hashed to 32 bytes whatever its length in the file.
    return TokenSecret(keccak256(secret))


def _read_secret(directory: Path, name: str) -> bytes:
    """Return a secret file's bytes. The error names the file and the reason of the system, never the
    content."""
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise StateProblem(
            "C2D-SECRET-MISSING",
            f"the secret {name} cannot be read: {error.strerror}",
            "mount the Provider's Secret, or set secretsDir to the folder that holds it",
        ) from None
