"""Decrypts results that a job encrypted for its owner: ECIES, in the layout of
:mod:`c2d_box.assets.crypto.ecies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from c2d_box.assets.crypto import ecies
from c2d_box.errors import Refused
from c2d_box.files import open_replacement
from c2d_box.workflow.manifests import SEALED


def is_sealed(item: Mapping[str, Any]) -> bool:
    """Return whether a result, as it is listed, is encrypted.

    The list decides and not the name: an algorithm may call a file as it likes.
    """
    return bool(item.get("encryption"))


def plain_name(item: Mapping[str, Any]) -> str:
    """Return the name of a listed result once it is decrypted."""
    name = str(item["filename"])
    return name.removesuffix(SEALED) if is_sealed(item) else name


def decrypt_result(key: bytes, content: bytes) -> bytes:
    """Return the decrypted content. Raises Refused C2D-RESULT-SEALED."""
    # In memory: for content that its caller has bounded (read_result).
    target = BytesIO()
    try:
        ecies.decrypt_stream(key, BytesIO(content), target)
    except ecies.DecryptionError as error:
        raise _not_ours("the result") from error
    return target.getvalue()


def decrypt_file(key: bytes, source: Path, target: Path) -> Path:
    """Decrypt ``source`` into ``target``, whole or not at all; ``source`` stays. Raises Refused
    C2D-RESULT-SEALED."""
    try:
        # The replacement appears under its name only at the end: an altered file leaves no part of it.
        with source.open("rb") as sealed, open_replacement(target) as plain:
            ecies.decrypt_stream(key, sealed, plain)
    except ecies.DecryptionError as error:
        raise _not_ours(str(source)) from error
    return target


def _not_ours(what: str) -> Refused:
    """Return the refusal for a wrong key or altered bytes: authenticated encryption cannot tell them
    apart."""
    return Refused(
        "C2D-RESULT-SEALED",
        f"{what} was not encrypted for this account, or was altered",
        "c2d-box decrypt FILE --as ACCOUNT, with the account that started the job",
    )
