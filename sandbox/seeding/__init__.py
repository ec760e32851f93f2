"""Puts a box into a known state: makes everything that a list declares, and can take back what came later."""

from sandbox.install.baseline import return_to_baseline
from sandbox.seeding.declaration import Declaration, read
from sandbox.seeding.sowing import Sown, seed

__all__ = ["Declaration", "Sown", "read", "return_to_baseline", "seed"]
