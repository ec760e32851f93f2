"""Kubernetes over HTTP: one port, an asynchronous and a synchronous client, a kubeconfig reader, a list-watch
with an informer on it, and an in-memory double for tests. It knows no workflow and nothing of Ocean."""
