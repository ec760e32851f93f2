"""What a box is made of: recipes, the builds of their parts, and the cache that holds them."""

from sandbox.bundle.build import PartStatus, build, list_parts, verify
from sandbox.bundle.store import Bundle, Image

__all__ = ["Bundle", "Image", "PartStatus", "build", "list_parts", "verify"]
