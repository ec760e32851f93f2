"""Examines a machine and says how to put it right: one finding per check, each with id, evidence and fix."""

from sandbox.doctor.examination import examine_machine
from sandbox.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine_machine"]
