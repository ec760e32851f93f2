"""Verbs of publishers: assets, permissions, trust and disclosure rules."""
