"""The HTTP front of the cluster, with the original's routes and texts: registers, lists, stops, hands out
results.

Kubernetes is its only store. It writes WorkFlows and their grants, and reads WorkFlows through a watch;
PostgreSQL gives it the history of what is not in Kubernetes any more, and remembers nonces.
"""
