"""The bundle as one file: written, served on a network, and taken in with every byte checked."""
