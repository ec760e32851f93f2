"""The signed text of a request that looks at files (``POST fileinfo``), the same for Provider and clients.

It names the call and the whole request, so that it can be taken for no other call and for no other file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

_PROOF = ("nonce", "signature")
"""Keys that are not signed: a signature cannot cover itself, and whoever checks it adds the nonce."""


def signed_text(request: Mapping[str, Any]) -> str:
    """Return the text, without the nonce, that is signed by the ``consumerAddress`` that stands in
    ``request``."""
    content = {key: value for key, value in request.items() if key not in _PROOF}
    # Sorted and without blanks: the Provider makes the text again from the parsed request, whatever order
    # the client wrote.
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return f"fileinfo{sha256(canonical).hexdigest()}"
