"""The engine's reports on its jobs: rows of the job table, Kubernetes events, its own figures."""
