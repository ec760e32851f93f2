"""Authors of requests: signatures, nonces, auth tokens, grants, and the Provider's own keys."""
