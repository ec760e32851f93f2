"""The contract of a cluster's port: a driver's test module imports it and has a fixture ``cluster``.

``runtime_classes`` says whether the nodes are the driver's own.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.bundle.oci import image_archives
from sandbox.bundle.parts.recipe import machine_architecture
from sandbox.clusters.port import ClusterDriver, JobIsolation
from sandbox.progress import ProgressEvent, run_verb

__all__ = ["test_life_of_a_cluster", "test_roles_name_three_different_handlers"]


def drive_verb(cluster: ClusterDriver, verb: str) -> list[ProgressEvent]:
    events: list[ProgressEvent] = []
    run_verb(getattr(cluster, verb)(), events.append)
    return events


def small_image(folder: Path) -> tuple[Path, str]:
    """An archive and its digest."""
    (folder / "layer").write_bytes(bytes(10240))
    archive, layer = folder / "small.tar", image_archives.Blob.of_file(image_archives.LAYER, folder / "layer")
    settings = image_archives.ImageSettings(user="1", entrypoint=("/nothing",))
    name, created = "c2d.local/small:latest", "2020-01-01T00:00:00Z"
    digest = image_archives.write_image(
        archive,
        name=name,
        architecture=machine_architecture(),
        layers=[layer],
        settings=settings,
        created=created,
    )
    return archive, digest


def test_life_of_a_cluster(cluster: ClusterDriver, tmp_path: Path) -> None:
    assert cluster.status().state == "absent"
    drive_verb(cluster, "stop")
    drive_verb(cluster, "delete")
    events = drive_verb(cluster, "create")
    assert (events[-1].step, events[-1].state) == ("cluster", "done")
    assert cluster.status().state == "running"
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert [event.state for event in drive_verb(cluster, "create")] == ["skipped"]
    cluster.publish_ports({})
    cluster.allow_endpoints(JobIsolation())
    archive, digest = small_image(tmp_path)
    assert run_verb(cluster.load_image(archive), lambda event: None) == digest
    prefix = cluster.registry or "c2d.local"
    assert (f"{prefix}/small:latest", digest) in {(i.reference, i.digest) for i in cluster.list_images()}
    assert cluster.resource_usage().pss_bytes > 0 or not cluster.runtime_classes
    assert cluster.read_logs(cluster.status().components[0].name) is not None
    drive_verb(cluster, "stop")
    assert cluster.status().state == "stopped"
    drive_verb(cluster, "stop")
    with pytest.raises(C2DError) as problem:
        cluster.list_images()
    assert problem.value.code == "C2D-NOT-RUNNING"
    drive_verb(cluster, "create")
    assert digest in {image.digest for image in cluster.list_images()}
    drive_verb(cluster, "delete")
    assert cluster.status().state == "absent"
    assert not cluster.kubeconfig.exists()


def test_roles_name_three_different_handlers(cluster: ClusterDriver) -> None:
    if not cluster.runtime_classes:
        pytest.skip("the nodes are not the driver's own")
    assert set(cluster.runtime_classes) == {"algorithm", "configuration", "publishing"}
    assert len(set(cluster.runtime_classes.values())) == 3
