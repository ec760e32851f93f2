"""Puts a box into a known state: makes everything that a list declares, and can take back what came later."""

from sandbox.install.baseline import return_to_baseline
from sandbox.seeding.apply import SeedReport, seed
from sandbox.seeding.declaration import Declaration, read_declaration

__all__ = ["Declaration", "SeedReport", "read_declaration", "return_to_baseline", "seed"]
