"""The one way in which Provider, metadata cache, operator-service, operator-engine, volume provisioner and
test chain run as processes: settings, failures, log lines, HTTP server and request bodies.

Nothing here knows Ocean or a workflow. Pods' programs and the SDK do not import it.
"""
