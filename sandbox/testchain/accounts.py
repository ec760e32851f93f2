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

# The order of secp256k1: child keys are sums modulo this number.
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# BIP-32: indexes from here on derive from the private key.
_HARDENED = 0x80000000
_PATH = (44 + _HARDENED, 60 + _HARDENED, _HARDENED, 0)


@dataclass(frozen=True, slots=True)
class ChainAccount:
    """A key and its address; the key is in no ``repr``."""

    key: bytes
    address: bytes

    def __repr__(self) -> str:
        """Show the address only: a key must not reach a log or a traceback."""
        return f"Account(0x{self.address.hex()})"


def derive_accounts(mnemonic: str, count: int) -> tuple[ChainAccount, ...]:
    """Return the first ``count`` accounts of ``mnemonic`` (BIP-39 without passphrase).

    The checksum of the words is not checked: any text gives accounts.
    """
    # BIP-39 wants NFKD and single spaces: a file may have line breaks between the words.
    words = unicodedata.normalize("NFKD", " ".join(mnemonic.split()))
    # 2048 rounds and the salt "mnemonic" are fixed by BIP-39.
    seed = hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048)
    key, code = _split_digest(hmac.digest(b"Bitcoin seed", seed, "sha512"))
    # The common part of the path is derived once for all accounts.
    for index in _PATH:
        key, code = _derive_child(key, code, index)
    return tuple(account_from_key(_derive_child(key, code, index)[0]) for index in range(count))


def account_from_key(key: bytes) -> ChainAccount:
    """Return the account of a 32-byte private key."""
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
        """Return the account with this address, or None where the node does not hold its key."""
        return self._by_address.get(address)


def _public_address(public: PublicKey) -> bytes:
    """Return an address: the last 20 bytes of the keccak of the public key, without its format byte."""
    return keccak(public.format(compressed=False)[1:])[12:]


def _split_digest(digest: bytes) -> tuple[bytes, bytes]:
    return digest[:32], digest[32:]


def _derive_child(key: bytes, code: bytes, index: int) -> tuple[bytes, bytes]:
    """Derive the child ``index`` of a key and chain code (BIP-32, CKDpriv).

    The case of an invalid child, of chance 2**-127, is left out.
    """
    parent = b"\0" + key if index >= _HARDENED else PrivateKey(key).public_key.format(compressed=True)
    tweak, chain_code = _split_digest(hmac.digest(code, parent + index.to_bytes(4, "big"), "sha512"))
    child = (int.from_bytes(tweak, "big") + int.from_bytes(key, "big")) % _CURVE_ORDER
    return child.to_bytes(32, "big"), chain_code
