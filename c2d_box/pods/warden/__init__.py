"""The proof that the algorithm has no network: done in its pod, by another user, before it may start.

The algorithm cannot forge it: what the warden says goes to its own output and exit code, which only
Kubernetes hands on, and its go-ahead lies in a folder that the algorithm's container can but read.
"""
