"""Builds the bundle, the programs and images a box is made of: recipes, builds and the cache of parts."""

from sandbox.bundle.build import PartStatus, build_bundle, list_parts, verify_parts
from sandbox.bundle.store import Bundle, BundleImage

__all__ = ["Bundle", "BundleImage", "PartStatus", "build_bundle", "list_parts", "verify_parts"]
