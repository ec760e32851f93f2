"""The HTTP API that a job's own pods call: reports, presigned uploads, evidence, registering results."""
