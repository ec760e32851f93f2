"""The secrets of one box: generated once, kept as files only the owner can read, never derived from a
public mnemonic.

Each secret is one file ``<folder>/<name>`` (0600 in a 0700 folder). ``--barge-keys`` swaps the signing keys
for the well-known ones that client test-suites expect; whoever does that is warned, as anybody can sign
with them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from c2d_box.files import replace_file

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the curve's group (SEC 2): a private key is a number from 1 to one less than this."""

BARGE_KEYS = {
    "provider-key": "0xfd5c1ccea015b6d663618850824154a3b3fb2882c46cefb05b9a93fea8c3d215",
    "cache-key": "0x5d75837394b078ce97bc289fa8d75e21000573520bfa7784a9d28ccaae602bf8",
}
"""Published keys of Ocean's barge, by the name of the secret that each one replaces."""


def _signing_key() -> str:
    """Return a random private key. Candidates outside the range are drawn again, not reduced: a remainder
    would make small keys likelier.
    """
    while True:
        candidate = secrets.randbits(256)
        if 0 < candidate < SECP256K1_ORDER:
            return f"0x{candidate:064x}"


def _random_token() -> str:
    return secrets.token_urlsafe(32)


def _access_key() -> str:
    """Return 20 capital hexadecimal digits, of the length and alphabet that S3 clients expect."""
    return secrets.token_hex(10).upper()


RECIPES: Mapping[str, Callable[[], str]] = {
    "provider-key": _signing_key,
    "cache-key": _signing_key,
    "environment-key-ocean-compute": _signing_key,
    "register-key": _signing_key,
    "token-secret": _random_token,
    "result-secret": _random_token,
    "admin-password": _random_token,
    "postgres-password": _random_token,
    "postgres-engine-password": _random_token,
    "postgres-service-password": _random_token,
    "s3-access-key": _access_key,
    "s3-secret-key": _random_token,
    # One pair for each service: the store gives each the buckets it needs, so that a stolen key opens no
    # more.
    **{f"s3-{user}-access-key": _access_key for user in ("engine", "service", "provider")},
    **{f"s3-{user}-secret-key": _random_token for user in ("engine", "service", "provider")},
    "ipfs-admin-token": _random_token,
    "upload-token": _random_token,
    "expiry-token": _random_token,
    # A private IPFS network's key (pnet PSK v1) is 32 bytes in hex; longer or shorter ones stop the node.
    "swarm-key": lambda: secrets.token_hex(32),
}
"""Every secret of a box and how it is made. A secret added here appears at the next ``up`` of an old box too.
"""


@dataclass(frozen=True)
class BoxKeys:
    """The secrets of a box by name. Its ``repr`` shows names only, since tracebacks and logs print it."""

    folder: Path
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def __repr__(self) -> str:
        return f"BoxKeys({self.folder}, {sorted(self.values)})"

    def key_address(self, name: str) -> str:
        """Return the checksummed address of a signing key."""
        return address_of(self.values[name])


def open_keys(folder: Path, *, barge: bool = False) -> BoxKeys:
    """Read the box's secrets, making those that do not exist yet.

    A secret is written to a temporary file and renamed, so that an interrupted run leaves either none or a
    whole one. ``barge`` overwrites two keys for good: leaving it out later does not bring random ones back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    values = {}
    for name, make in RECIPES.items():
        path = folder / name
        if barge and name in BARGE_KEYS:
            replace_file(path, BARGE_KEYS[name], mode=0o600, durable=True)
        elif not path.exists():
            # Synced: an account may be funded or trusted under this key right after; losing it then loses the
            # account.
            replace_file(path, make(), mode=0o600, durable=True)
        values[name] = path.read_text().strip()
    return BoxKeys(folder, values)


def address_of(key: str) -> str:
    """Return the EIP-55 address of a secp256k1 private key in hex, with or without ``0x``."""
    from coincurve import PrivateKey
    from eth_hash.auto import keccak

    # The uncompressed point without its leading 04 byte is what Ethereum hashes.
    public = PrivateKey(bytes.fromhex(key.removeprefix("0x"))).public_key.format(compressed=False)[1:]
    plain = keccak(public)[-20:].hex()
    # EIP-55: a letter is a capital where the same digit of the hash of the lower-case address is 8 or more.
    case = keccak(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(h, 16) >= 8 else c for c, h in zip(plain, case, strict=False))
