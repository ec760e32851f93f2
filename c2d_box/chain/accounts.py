"""Keys that sign transactions. They stay with the caller: nodes only ever see signed transactions."""

from __future__ import annotations

from dataclasses import dataclass, field

from c2d_box.assets.crypto import signatures
from c2d_box.recursion import kept_recursion_limit

# BIP-44 for Ethereum, as MetaMask, ganache and barge derive their accounts.
PATH = "m/44'/60'/0'/0"


@dataclass(frozen=True)
class Signer:
    """A private key and its checksummed address; the key is in no ``repr``."""

    key: bytes = field(repr=False)
    address: str


def from_key(key: bytes | str) -> Signer:
    """Return the signer of a 32-byte key, raw or as hex."""
    # A file or a user gives hex with or without the prefix; key derivation gives bytes.
    raw = bytes.fromhex(key.removeprefix("0x")) if isinstance(key, str) else bytes(key)
    return Signer(raw, signatures.address_of(raw))


def from_mnemonic(mnemonic: str, index: int) -> Signer:
    """Return account ``index`` of a mnemonic without passphrase, on the path every Ethereum tool uses."""
    # eth_account is imported here only: most processes sign with a stored key and never derive one.
    with kept_recursion_limit():
        from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

    return from_key(key_from_seed(seed_from_mnemonic(mnemonic, ""), f"{PATH}/{index}"))
