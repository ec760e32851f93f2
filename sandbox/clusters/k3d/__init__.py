"""The driver for clusters made by k3d: k3s in containers."""
