"""A whole Compute-to-Data job on real data, told step by step."""
