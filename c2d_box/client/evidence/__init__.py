"""Checks of a job's evidence against the chain, the descriptions and the results."""
