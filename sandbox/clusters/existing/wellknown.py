"""Refuses publicly known keys and passwords: good for a toy on one's own computer, not for others' clusters.

Anyone who knows a Provider's key can sign in its name; anyone who knows an environment's key can sign
evidence.
"""

from __future__ import annotations

from c2d_box.errors import Refused
from sandbox.keys import BARGE_KEYS, BoxKeys
from sandbox.testchain.accounts import derive_accounts

MNEMONICS = (
    # In this order: Ocean's barge, Hardhat and Anvil, Ganache, Truffle.
    "taxi music thumb unique chat sand crew more leg another off lamp",
    "test test test test test test test test test test test junk",
    "myth like bonus scare over problem client lizard pioneer submit female collect",
    "candy maple cake sugar pudding cream honey rich smooth crumble sweet treat",
)
"""Mnemonics of development chains and their tools."""
ACCOUNTS = 20
"""Accounts derived from each mnemonic: as many as the tools show by themselves at most."""
PASSWORDS = frozenset(
    {"admin", "password", "passw0rd", "secret", "changeme", "postgres", "minioadmin", "secretpassword"}
    | {"administrator", "correct horse battery staple", "operator-service-admin"}
)
"""Passwords that tools and guides of this field use, compared without case."""
SHORTEST = 16
"""Least number of characters of a password or token; those that a box makes have twenty and more."""
_SIGNING = ("provider-key", "cache-key", "register-key")
"""Secrets that sign; the rest are passwords and tokens. Environments' keys are matched by their prefix."""


def refuse_public_keys(keys: BoxKeys) -> None:
    """Raise ``C2D-WELL-KNOWN-SECRET`` for the first secret of the box that others may have."""
    known = {key.lower() for key in BARGE_KEYS.values()}
    known |= {
        f"0x{account.key.hex()}" for mnemonic in MNEMONICS for account in derive_accounts(mnemonic, ACCOUNTS)
    }
    for name, value in keys.values.items():
        if name in _SIGNING or name.startswith("environment-key"):
            bad = value.lower() in known
        else:
            bad = value.lower() in PASSWORDS or len(value) < SHORTEST
        if bad:
            raise Refused(
                "C2D-WELL-KNOWN-SECRET",
                f"{name} of this box is one that everybody knows, or could guess.",
                f"Remove {keys.folder / name}: the next `up` makes a new one. Leave --barge-keys out.",
            )
