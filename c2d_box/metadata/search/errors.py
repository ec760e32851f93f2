"""What a search body can be refused for."""

from __future__ import annotations


class Unsupported(Exception):
    """Names the part of the body that is not understood."""
