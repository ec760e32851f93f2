"""One port, several drivers: where the box's Kubernetes comes from."""
