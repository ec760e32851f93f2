"""Encrypting results for the consumer, where the job asks for it, before they leave the pod.

A store asks for the hash of what it will be given, and ECIES puts its tag before the text, so a file is
read three times: for the tag, for the hash, and to be sent. Ephemeral key and nonce come from the stage's
token and the judged hash: an upload that is tried again sends the same bytes, and nothing is stored twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace

from c2d_box.assets.crypto.ecies import OVERHEAD, EciesSealer
from c2d_box.pods.upload.sending import SentFile, UploadEntry, entry_content
from c2d_box.workflow import manifests

Send = Callable[[list[UploadEntry]], list[SentFile]]


def sealing_sender(send: Send, key: str, secret: bytes) -> Send:
    """Return ``send`` for sealed files; ``key``: the public key of the one who may read them."""
    ready: list[UploadEntry] = []

    def sealed_first(files: list[UploadEntry]) -> list[SentFile]:
        if not ready:
            ready.extend(sealed_entry(file, key, secret) for file in files)
        return send(ready)

    return sealed_first


def sealed_entry(entry: UploadEntry, key: str, secret: bytes) -> UploadEntry:
    """Return the file as it is to be sent; raise SendFailed where it is not what was judged."""
    # Path and hash are in the secret: key and nonce of AES-GCM must never serve two plaintexts, and here
    # another text gives another secret.
    sealer = EciesSealer(key, hmac.digest(secret, f"{entry.path}\n{entry.sha256}".encode(), hashlib.sha256))
    encryptor = sealer.encryptor()
    for piece in entry_content(entry):
        # The output is thrown away: this reading is for the tag alone, which has to be sent first.
        encryptor.update(piece)
    encryptor.finalize()
    head = sealer.head + encryptor.tag

    def pieces() -> Iterator[bytes]:
        yield head
        again = sealer.encryptor()
        for piece in entry_content(entry):
            yield again.update(piece)
        yield again.finalize()

    # The store's signature covers the hash of the sealed bytes, which can only be known by making them once.
    digest = hashlib.sha256()
    for piece in pieces():
        digest.update(piece)
    return replace(
        entry,
        # Name, size and hash become those of the sealed bytes; ``judged`` keeps the hash that evidence
        # lists.
        filename=entry.filename + manifests.SEALED,
        size=entry.size + OVERHEAD,
        sha256=digest.hexdigest(),
        sealed=pieces,
        judged=entry.sha256,
    )
