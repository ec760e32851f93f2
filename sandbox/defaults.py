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
