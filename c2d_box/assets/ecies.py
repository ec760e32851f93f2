"""ECIES as Ocean clients and Providers exchange it; the byte layout is pinned here.

65-byte uncompressed ephemeral public key, 16-byte nonce, 16-byte tag, AES-256-GCM ciphertext. Newer releases
of the ecies packages changed their defaults, so no package's default is relied on.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from c2d_box.assets.signatures import private_key

OVERHEAD = 65 + 16 + 16


class DecryptionError(ValueError):
    """The bytes were not encrypted for this key, or were altered."""


def encrypt(key: bytes | str, plaintext: bytes) -> bytes:
    """``plaintext`` for the holder of ``key``: a public key (33, 64 or 65 bytes) or its private key (32)."""
    ephemeral = PrivateKey()
    nonce = os.urandom(16)
    sender = ephemeral.public_key.format(compressed=False)
    shared = _public(key).multiply(ephemeral.secret).format(compressed=False)
    sealed = AESGCM(_derive(sender + shared)).encrypt(nonce, plaintext, None)
    return sender + nonce + sealed[-16:] + sealed[:-16]


def decrypt(key: bytes | str, ciphertext: bytes) -> bytes:
    """The plaintext of ``ciphertext`` under the private ``key``; DecryptionError if it is not for us."""
    if len(ciphertext) < OVERHEAD:
        raise DecryptionError("too short to be an ECIES message")
    sender, nonce, tag = ciphertext[:65], ciphertext[65:81], ciphertext[81:97]
    try:
        shared = PublicKey(sender).multiply(private_key(key).secret).format(compressed=False)
        return AESGCM(_derive(sender + shared)).decrypt(nonce, ciphertext[97:] + tag, None)
    except (InvalidTag, ValueError) as error:
        raise DecryptionError("not encrypted for this key, or altered") from error


def _public(key: bytes | str) -> PublicKey:
    raw = bytes.fromhex(key.removeprefix("0x")) if isinstance(key, str) else bytes(key)
    if len(raw) == 32:
        return private_key(raw).public_key
    return PublicKey(b"\x04" + raw if len(raw) == 64 else raw)


def _derive(material: bytes) -> bytes:
    """HKDF-SHA256, empty salt and info, 32 bytes: one expand block."""
    extracted = hmac.digest(b"\0" * 32, material, hashlib.sha256)
    return hmac.digest(extracted, b"\x01", hashlib.sha256)
