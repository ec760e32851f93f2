"""The provisioner's configuration file: ``/etc/c2d/config.json``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from c2d_box.service.settings import ListenSection, SettingsSection


class VolumesListen(ListenSection):
    """Address of the probes' port."""

    port: int = 8052


class VolumesSettings(SettingsSection):
    """The provisioner's settings. ``root`` is a folder of the node, mounted at the same path; sizes are
    bytes.
    """

    listen: VolumesListen = VolumesListen()
    root: Path
    namespaces: tuple[str, ...] = Field(min_length=1)
    """The namespaces whose claims are served: the jobs' and the services'."""
    reserve_bytes: int = Field(default=1 << 30, ge=0)
    """Bytes of the node's disk that new volumes leave free: a full disk makes the kubelet evict pods."""
    kubeconfig: Path | None = None
    """Needed only to run it outside the cluster; inside, the pod's service account is used."""
