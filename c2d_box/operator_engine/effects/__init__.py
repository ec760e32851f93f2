"""What the engine does to the cluster: each action of the rules becomes calls of the Kubernetes API."""
