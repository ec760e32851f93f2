"""ECIES as Ocean clients and Providers exchange it; the byte layout is pinned here.

65-byte uncompressed ephemeral public key, 16-byte nonce, 16-byte tag, AES-256-GCM ciphertext. Newer releases
of the ecies packages changed their defaults, so no package's default is relied on.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import BinaryIO

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from c2d_box.assets.crypto.signatures import private_key

OVERHEAD = 65 + 16 + 16
"""Bytes that a message is longer than its text: public key, nonce and tag."""
_PIECE = 1 << 20
"""Bytes decrypted at a time."""


class DecryptionError(ValueError):
    """The bytes were not encrypted for this key, or were altered."""


def encrypt(key: bytes | str, plaintext: bytes) -> bytes:
    """Encrypt for the holder of ``key``: a public key (33, 64 or 65 bytes) or its private key (32)."""
    ephemeral = PrivateKey()
    nonce = os.urandom(16)
    # The sender's key is part of the derived key: a changed head gives another key, and the tag fails.
    sender = ephemeral.public_key.format(compressed=False)
    shared = _parse_public_key(key).multiply(ephemeral.secret).format(compressed=False)
    sealed = AESGCM(_derive_key(sender + shared)).encrypt(nonce, plaintext, None)
    # The library puts the tag at the end; Ocean's clients expect it before the text.
    return sender + nonce + sealed[-16:] + sealed[:-16]


def decrypt(key: bytes | str, ciphertext: bytes) -> bytes:
    """Return the plaintext under the private ``key``. Raise DecryptionError for a message that is not for
    it."""
    # An empty text is a message of just the overhead, and valid.
    if len(ciphertext) < OVERHEAD:
        raise DecryptionError("too short to be an ECIES message")
    # The layout of the module's docstring; the parts have fixed lengths, so nothing is parsed.
    sender, nonce, tag = ciphertext[:65], ciphertext[65:81], ciphertext[81:97]
    try:
        shared = PublicKey(sender).multiply(private_key(key).secret).format(compressed=False)
        return AESGCM(_derive_key(sender + shared)).decrypt(nonce, ciphertext[97:] + tag, None)
    except (InvalidTag, ValueError) as error:
        raise DecryptionError("not encrypted for this key, or altered") from error


class EciesSealer:
    """Encrypts a message too long for memory in two runs of :meth:`encryptor`. The message is ``head``, the
    tag of the first run, then what the second run gives. ``secret`` (of this one message) takes the place of
    chance, so both runs are the same."""

    def __init__(self, key: bytes | str, secret: bytes) -> None:
        # Derived with two labels, so that key and nonce tell nothing about each other.
        ephemeral = PrivateKey(hmac.digest(secret, b"ephemeral key", hashlib.sha256))
        self._nonce = hmac.digest(secret, b"nonce", hashlib.sha256)[:16]
        sender = ephemeral.public_key.format(compressed=False)
        self._key = _derive_key(
            sender + _parse_public_key(key).multiply(ephemeral.secret).format(compressed=False)
        )
        self.head = sender + self._nonce

    def encryptor(self) -> AEADEncryptionContext:
        """Return an encryptor at the beginning of the message; each gives the same bytes for the
        same text."""
        return Cipher(AES(self._key), GCM(self._nonce)).encryptor()


def decrypt_stream(key: bytes | str, source: BinaryIO, target: BinaryIO) -> None:
    """Decrypt as :func:`decrypt` does, in pieces. What is in ``target`` is worth nothing until this has
    returned."""
    head = source.read(OVERHEAD)
    if len(head) < OVERHEAD:
        raise DecryptionError("too short to be an ECIES message")
    sender, nonce, tag = head[:65], head[65:81], head[81:]
    try:
        shared = PublicKey(sender).multiply(private_key(key).secret).format(compressed=False)
        opening = Cipher(AES(_derive_key(sender + shared)), GCM(nonce, tag)).decryptor()
        while piece := source.read(_PIECE):
            target.write(opening.update(piece))
        # The tag is checked here: what was written before could have been altered.
        target.write(opening.finalize())
    except (InvalidTag, ValueError) as error:
        raise DecryptionError("not encrypted for this key, or altered") from error


def public_key(text: str) -> str:
    """A public key in its one spelling (``0x04…``, 65 bytes); ValueError for what is none."""
    # A private key has 32 bytes: one that is pasted here by mistake is refused, not used.
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) not in (33, 64, 65):
        raise ValueError("a public key has 33, 64 or 65 bytes")
    return "0x" + _parse_public_key(raw).format(compressed=False).hex()


def public_key_of(private: bytes | str) -> str:
    """The public key of a private one, spelt as by :func:`public_key`."""
    return "0x" + private_key(private).public_key.format(compressed=False).hex()


def _parse_public_key(key: bytes | str) -> PublicKey:
    """Return the key of any form that is in use: compressed, with or without the leading 04, or a private
    key's own."""
    raw = bytes.fromhex(key.removeprefix("0x")) if isinstance(key, str) else bytes(key)
    if len(raw) == 32:
        return private_key(raw).public_key
    return PublicKey(b"\x04" + raw if len(raw) == 64 else raw)


def _derive_key(material: bytes) -> bytes:
    """HKDF-SHA256, empty salt and info, 32 bytes: one expand block."""
    extracted = hmac.digest(b"\0" * 32, material, hashlib.sha256)
    return hmac.digest(extracted, b"\x01", hashlib.sha256)
