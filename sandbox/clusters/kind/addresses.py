"""Address ranges inside a kind node. Each node has a network of its own, so every box uses the same ones."""

from __future__ import annotations

API_PORT = 6443
ALL_PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
DNS = "10.96.0.10"
# Quarters of ALL_PODS, one for each class of pods: the packet rules tell the classes by address.
PODS, UNROUTED, STAGING, PUBLISHING = (f"10.244.{third}.0/18" for third in (0, 64, 128, 192))
JOB_RANGES = (UNROUTED, STAGING, PUBLISHING)
