"""The engine's state in memory: its copy of the cluster, and per-job timers. All of it can be lost."""
