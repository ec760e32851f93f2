"""Moves the bundle as one file: writes it, serves it on a network, and loads it with every byte checked."""
