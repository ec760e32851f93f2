"""Builds the bundle, the programs and images a box is made of: recipes, builds and the cache of parts."""

from sandbox.bundle.build import PartStatus, build, list_parts, verify
from sandbox.bundle.store import Bundle, Image

__all__ = ["Bundle", "Image", "PartStatus", "build", "list_parts", "verify"]
