"""The funded accounts: BIP-39 mnemonic to keys at ``m/44'/60'/0'/0/i``, held unlocked by the node.

Derived here with hashlib and coincurve instead of eth-account, whose import alone costs more than the whole
start.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HARDENED = 0x80000000
_PATH = (44 + _HARDENED, 60 + _HARDENED, _HARDENED, 0)


@dataclass(frozen=True, slots=True)
class ChainAccount:
    """A key and its address; the key is in no ``repr``."""

    key: bytes
    address: bytes

    def __repr__(self) -> str:
        return f"Account(0x{self.address.hex()})"


def derive_accounts(mnemonic: str, count: int) -> tuple[ChainAccount, ...]:
    """The first ``count`` accounts of ``mnemonic``."""
    words = unicodedata.normalize("NFKD", " ".join(mnemonic.split()))
    seed = hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048)
    key, code = _split_digest(hmac.digest(b"Bitcoin seed", seed, "sha512"))
    for index in _PATH:
        key, code = _derive_child(key, code, index)
    return tuple(account_from_key(_derive_child(key, code, index)[0]) for index in range(count))


def account_from_key(key: bytes) -> ChainAccount:
    return ChainAccount(key, _public_address(PrivateKey(key).public_key))


def sign_digest(account: ChainAccount, digest: bytes) -> tuple[int, int, int]:
    """Return the deterministic (RFC 6979) signature of a 32-byte digest: recovery id, r, s (low s)."""
    signature = PrivateKey(account.key).sign_recoverable(digest, hasher=None)
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def message_digest(message: bytes) -> bytes:
    """Return the digest that ``personal_sign`` and ``eth_sign`` sign: EIP-191 version 0x45."""
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


class KeyRing:
    """The accounts the node holds, by address."""

    def __init__(self, accounts: Sequence[ChainAccount]) -> None:
        self.accounts = tuple(accounts)
        self._by_address = {account.address: account for account in accounts}

    def find_account(self, address: bytes) -> ChainAccount | None:
        return self._by_address.get(address)


def _public_address(public: PublicKey) -> bytes:
    return keccak(public.format(compressed=False)[1:])[12:]


def _split_digest(digest: bytes) -> tuple[bytes, bytes]:
    return digest[:32], digest[32:]


def _derive_child(key: bytes, code: bytes, index: int) -> tuple[bytes, bytes]:
    parent = b"\0" + key if index >= _HARDENED else PrivateKey(key).public_key.format(compressed=True)
    tweak, chain_code = _split_digest(hmac.digest(code, parent + index.to_bytes(4, "big"), "sha512"))
    child = (int.from_bytes(tweak, "big") + int.from_bytes(key, "big")) % _CURVE_ORDER
    return child.to_bytes(32, "big"), chain_code
