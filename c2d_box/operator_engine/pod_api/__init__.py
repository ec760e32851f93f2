"""The HTTP API that a job's own pods call: reports, upload places, evidence, registering results."""
