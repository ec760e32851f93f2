"""Write the configuration of a private Kubo node before each start.

The repository keeps the node's identity; every other setting comes from the chart, so that a changed value
takes effect and nothing that was edited inside the node (a bootstrap peer, a listener) outlives a restart.
Tokens come from files: an argument or an environment variable would show them.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
EXPIRY_PATHS = ["/api/v0/pin/rm", "/api/v0/repo/gc"]
UPLOAD_PATHS = ["/api/v0/dag/import", "/api/v0/version"]


def new_identity() -> dict[str, str]:
    """An Ed25519 identity as Kubo stores it: multihash of the public key's protobuf, the private key's."""
    key = Ed25519PrivateKey.generate()
    private, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    peer = b"\x00\x24" + b"\x08\x01\x12\x20" + public
    return {
        "PeerID": base58(peer),
        "PrivKey": base64.b64encode(b"\x08\x01\x12\x40" + private + public).decode(),
    }


def base58(data: bytes) -> str:
    """Base58 as Bitcoin and libp2p write it."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def with_callers(settings: dict[str, Any], tokens: Path) -> dict[str, Any]:
    """``settings`` with the callers of the RPC: uploads may import and pin, the box's owner anything; where
    results expire, the engine may unpin.
    """
    callers = {
        "upload": {"AuthSecret": f"bearer:{read(tokens / 'upload-token')}", "AllowedPaths": UPLOAD_PATHS},
        "admin": {"AuthSecret": f"bearer:{read(tokens / 'ipfs-admin-token')}", "AllowedPaths": ["/api/v0"]},
    }
    if (tokens / "expiry-token").exists():
        secret = f"bearer:{read(tokens / 'expiry-token')}"
        callers["expiry"] = {"AuthSecret": secret, "AllowedPaths": EXPIRY_PATHS}
    return {**settings, "API": {**settings["API"], "Authorizations": callers}}


def read(path: Path) -> str:
    token = path.read_text().strip()
    if not token:
        sys.exit(f"C2D-IPFS-TOKEN-EMPTY: {path.name} is empty; put a token into the Secret of ipfs")
    return token


def write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, wholly or not at all."""
    scratch = path.with_name(path.name + ".new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def prepare(template: Path, tokens: Path, repository: Path, first: Path) -> None:
    """Configure ``repository``; where there is none yet, leave in ``first`` what it is to be made from."""
    settings = with_callers(json.loads(template.read_text()), tokens)
    config = repository / "config"
    whole = config.exists() and (repository / "version").exists() and (repository / "datastore_spec").exists()
    if whole:
        settings["Identity"] = json.loads(config.read_text())["Identity"]
        write(config, json.dumps(settings, indent=2))
    else:
        shutil.rmtree(repository, ignore_errors=True)
        repository.mkdir(mode=0o700, parents=True)
        settings["Identity"] = new_identity()
        write(first, json.dumps(settings, indent=2))
    if not (repository / "swarm.key").exists():
        write(repository / "swarm.key", f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n")


if __name__ == "__main__":
    prepare(*(Path(argument) for argument in sys.argv[1:5]))
