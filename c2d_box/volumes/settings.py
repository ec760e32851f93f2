"""What the provisioner is told: ``/etc/c2d/config.json``."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from c2d_box.errors import UsageError


class Listen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "0.0.0.0"
    port: int = 8052


class Settings(BaseModel):
    """``root`` is a folder of the node, seen at the same path; sizes are bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    listen: Listen = Listen()
    root: Path
    namespaces: tuple[str, ...]
    reserve_bytes: int = Field(default=1 << 30, alias="reserveBytes", ge=0)
    kubeconfig: Path | None = None
    """Only to run it outside the cluster; inside, the pod's service account is used."""


def load(path: Path) -> Settings:
    """Read the configuration file, or say which of its keys is wrong."""
    try:
        return Settings.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as cause:
        raise UsageError(
            "C2D-VOLUMES-CONFIG",
            f"{path} is not a configuration of the provisioner: {cause}",
            "correct the chart's values",
        ) from cause
