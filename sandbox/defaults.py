"""What holds where nobody says otherwise: said once for clusters, verbs, screens, fixtures and help texts."""

from __future__ import annotations

from typing import Final

IMAGE: Final = "c2d.local/algo-python"
ENTRYPOINT: Final = "python3 $ALGO"
"""With that image: what an algorithm runs in."""
SERVICES_NAMESPACE: Final = "c2d"
"""Of the chart's services; jobs have :data:`c2d_box.workflow.names.JOBS_NAMESPACE`."""
SYSTEM_NAMESPACE: Final = "c2d-system"
"""Of what needs more rights on the nodes: the volumes' provisioner."""
