"""Container images as files: writing OCI archives, reading those that somebody brings."""
