"""The contract of a cluster's port: a driver's test module imports it and has a fixture ``cluster``.

``runtime_classes`` says whether the nodes are the driver's own.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.bundle.oci import image_archives
from sandbox.bundle.parts.recipe import architecture
from sandbox.clusters.port import Cluster, Isolation
from sandbox.progress import Event, run

__all__ = ["test_life_of_a_cluster", "test_roles_name_three_different_handlers"]


def drive(cluster: Cluster, verb: str) -> list[Event]:
    events: list[Event] = []
    run(getattr(cluster, verb)(), events.append)
    return events


def small_image(folder: Path) -> tuple[Path, str]:
    """An archive and its digest."""
    (folder / "layer").write_bytes(bytes(10240))
    archive, layer = folder / "small.tar", image_archives.Blob.of_file(image_archives.LAYER, folder / "layer")
    settings = image_archives.Settings(user="1", entrypoint=("/nothing",))
    name, created = "c2d.local/small:latest", "2020-01-01T00:00:00Z"
    digest = image_archives.write(
        archive, name=name, architecture=architecture(), layers=[layer], settings=settings, created=created
    )
    return archive, digest


def test_life_of_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.status().state == "absent"
    drive(cluster, "stop")
    drive(cluster, "delete")
    events = drive(cluster, "create")
    assert (events[-1].step, events[-1].state) == ("cluster", "done")
    assert cluster.status().state == "running"
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert [event.state for event in drive(cluster, "create")] == ["skipped"]
    cluster.publish({})
    cluster.allow(Isolation())
    archive, digest = small_image(tmp_path)
    assert run(cluster.load_image(archive), lambda event: None) == digest
    prefix = cluster.registry or "c2d.local"
    assert (f"{prefix}/small:latest", digest) in {(i.reference, i.digest) for i in cluster.images()}
    assert cluster.resources().pss_bytes > 0 or not cluster.runtime_classes
    assert cluster.logs(cluster.status().components[0].name) is not None
    drive(cluster, "stop")
    assert cluster.status().state == "stopped"
    drive(cluster, "stop")
    with pytest.raises(C2DError) as problem:
        cluster.images()
    assert problem.value.code == "C2D-NOT-RUNNING"
    drive(cluster, "create")
    assert digest in {image.digest for image in cluster.images()}
    drive(cluster, "delete")
    assert cluster.status().state == "absent"
    assert not cluster.kubeconfig.exists()


def test_roles_name_three_different_handlers(cluster: Cluster) -> None:
    if not cluster.runtime_classes:
        pytest.skip("the nodes are not the driver's own")
    assert set(cluster.runtime_classes) == {"algorithm", "configuration", "publishing"}
    assert len(set(cluster.runtime_classes.values())) == 3
