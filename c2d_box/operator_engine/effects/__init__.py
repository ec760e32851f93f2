"""The engine's effects on the cluster: each action of the rules becomes calls of the Kubernetes API."""
