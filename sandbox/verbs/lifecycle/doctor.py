"""``doctor``: runs the machine's checks, for this box's home and ports."""

from __future__ import annotations

from c2d_box.errors import C2DError
from sandbox.box import Box
from sandbox.bundle.cache import BundleCache
from sandbox.doctor import Finding, docker, examine_machine, sealedkeys
from sandbox.keys import open_keys
from sandbox.progress import run_verb
from sandbox.verbs.publishing.assets import list_assets


def diagnose_box(box: Box) -> list[Finding]:
    """Return all findings, problems first. Changes nothing."""
    running = box.cluster.status().state in ("running", "degraded", "starting")
    return examine_machine(
        box.home.path,
        BundleCache().root,
        box.ports.as_dict(),
        name=box.name,
        cluster=box.settings.cluster or "native",
        existing=box.settings.existing,
        running=running,
        # This check asks the metadata cache, so it makes sense on a running box only.
        more=[lambda: _sealed_keys(box)] if running else [],
    )


def _sealed_keys(box: Box) -> list[Finding]:
    """Check the sealed keys. Returns nothing where the metadata cache does not answer: ``status`` reports
    that.
    """
    keys = open_keys(box.home.keys_folder)
    try:
        documents = list_assets(box)
    except C2DError:
        return []
    return [sealedkeys.examine_assets(documents, keys["provider-key"], keys["s3-access-key"])]


def remove_leftovers(box: Box) -> list[str]:
    """Repair what needs no question: remove traces of boxes that are gone. Returns what was removed."""
    gone = docker.remove_homeless()
    if box.cluster.status().state in ("stopped", "failed"):
        # Stopping a box that does not run removes what a killed one left behind.
        run_verb(box.cluster.stop(), lambda event: None)
    return gone
