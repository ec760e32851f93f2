"""Compute: who may run what on which data, what it costs, and how a job is started. Rules only; routes
are elsewhere."""
