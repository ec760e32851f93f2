"""Default values, defined once for clusters, verbs, screens, fixtures and help texts."""

from __future__ import annotations

from typing import Final

IMAGE: Final = "c2d.local/algo-python"
"""Image of an algorithm that names none; every bundle contains it."""
ENTRYPOINT: Final = "python3 $ALGO"
"""Command that starts an algorithm in the default image."""
SERVICES_NAMESPACE: Final = "c2d"
"""Namespace of the chart's services; jobs have :data:`c2d_box.workflow.names.JOBS_NAMESPACE`."""
SYSTEM_NAMESPACE: Final = "c2d-system"
"""Namespace of pods that need more rights on the nodes: the volumes' provisioner."""
SERVICE_ENDPOINTS: Final = {
    "provider": (30, 8030),
    "operatorEngine": (31, 8051),
    "ipfs": (32, 5001),
    "s3": (33, 9000),
    "chain": (34, 8545),
    "postgres": (35, 5432),
    "cache": (36, 5000),
    "operatorService": (37, 8050),
}
"""Offset in the service range and port of each service, by the chart's name. Offset 10 is the DNS."""
