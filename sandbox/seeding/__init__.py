"""A box in a known state: what a list declares is there, and what came after it can be taken back."""

from sandbox.install.baseline import return_to_baseline
from sandbox.seeding.declaration import Declaration, read
from sandbox.seeding.sowing import Sown, seed

__all__ = ["Declaration", "Sown", "read", "return_to_baseline", "seed"]
