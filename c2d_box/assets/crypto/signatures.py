"""Recoverable signatures over text: what every signed request of an Ocean client carries.

The digest is EIP-191 over the 32-byte keccak of the text. Wallets write v as 27/28, ocean.py as 0/1; both are
accepted, ours are written as 27/28.
"""

from __future__ import annotations

from typing import NamedTuple

from coincurve import PrivateKey, PublicKey

from c2d_box.assets.addresses import checksum_address, keccak256

_PREFIX = b"\x19Ethereum Signed Message:\n32"
"""EIP-191, version 0x45, for a message of 32 bytes: what ``personal_sign`` puts before a hash."""


class VrsSignature(NamedTuple):
    """A signature in the form contracts take: v is 27 or 28, r and s are ``0x`` + 64 hex digits."""

    v: int
    r: str
    s: str


def prefixed_hash(hash32: bytes) -> bytes:
    """Return the digest of EIP-191 over a 32-byte hash."""
    return keccak256(_PREFIX + hash32)


def private_key(key: bytes | str) -> PrivateKey:
    """Return a key from bytes or hex, with or without ``0x``."""
    return PrivateKey(bytes.fromhex(key.removeprefix("0x")) if isinstance(key, str) else bytes(key))


def address_of(key: bytes | str) -> str:
    """Return the checksummed address of a private key."""
    return _public_key_address(private_key(key).public_key)


def sign_text(key: bytes | str, text: str) -> str:
    """Return the signature of ``text`` as ``0x`` + r, s, v: 65 bytes."""
    return as_hex(sign_hash(key, keccak256(text.encode())))


def sign_hash(key: bytes | str, hash32: bytes) -> VrsSignature:
    """Sign an already hashed message. The EIP-191 prefix is applied here."""
    signature = private_key(key).sign_recoverable(prefixed_hash(hash32), hasher=None)
    return VrsSignature(signature[64] + 27, "0x" + signature[:32].hex(), "0x" + signature[32:64].hex())


def recover_signer(text: str, signature: str | bytes) -> str | None:
    """Return the checksummed address that signed ``text``, or None when the signature is malformed."""
    return recover_hash(keccak256(text.encode()), signature)


def recover_hash(hash32: bytes, signature: str | bytes) -> str | None:
    """Return the signer of an already hashed message, like :func:`recover_signer`."""
    try:
        raw = bytes.fromhex(signature.removeprefix("0x")) if isinstance(signature, str) else signature
        # Other values of v are those of EIP-155, which are for transactions.
        if len(raw) != 65 or raw[64] not in (0, 1, 27, 28):
            return None
        # 27 and 28 become 0 and 1, which stay as they are.
        compact = raw[:64] + bytes([raw[64] % 27])
        return _public_key_address(
            PublicKey.from_signature_and_message(compact, prefixed_hash(hash32), hasher=None)
        )
    except Exception:  # libsecp256k1's wrapper raises plain Exception for an r or s off the curve
        return None


def as_hex(signature: VrsSignature) -> str:
    """Return a signature as clients send it: r, s, v."""
    return "0x" + signature.r[2:] + signature.s[2:] + f"{signature.v:02x}"


def from_vrs(v: int, r: bytes, s: bytes) -> bytes:
    """Return the 65-byte form of a contract's v, r, s."""
    return r.rjust(32, b"\0") + s.rjust(32, b"\0") + bytes([v & 0xFF])


def _public_key_address(key: PublicKey) -> str:
    """Return the address of a public key: the last 20 bytes of the keccak of its 64 bytes, without the
    leading 04."""
    return checksum_address("0x" + keccak256(key.format(compressed=False)[1:])[-20:].hex())
