"""A Kubernetes cluster that somebody else made and owns: the box is a guest there."""
