"""What the engine tells others of its jobs: rows of the job table, Kubernetes events, its own figures."""
