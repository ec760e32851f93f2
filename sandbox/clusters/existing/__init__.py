"""The driver for a Kubernetes cluster that somebody else made and owns: the box only adds its own objects."""
