"""Installs a box on a cluster, as ``up`` does: chart, readiness, isolation, canary, first assets."""
