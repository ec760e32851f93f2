"""The programs that run inside a job's pods: configuration, warden, gate, judge, upload.

They start on a job's hot path, so they import little; and each holds the least: no program here has
database or Kubernetes credentials, and the one that parses what the algorithm wrote has none at all.
"""
