"""The exception with which a search body is refused, in a module of its own because all others raise it."""

from __future__ import annotations


class Unsupported(Exception):
    """Names the part of the body that is not understood."""
