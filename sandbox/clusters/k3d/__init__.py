"""Clusters made by k3d: k3s in containers."""
