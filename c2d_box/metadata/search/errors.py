"""The exception with which a search body is refused."""

from __future__ import annotations


class Unsupported(Exception):
    """Names the part of the body that is not understood."""
