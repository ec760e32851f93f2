"""Lists what the box would add to somebody's cluster, and asks for consent before anything is added.

The user is asked once: a box that is installed already is not asked about again.
"""

from __future__ import annotations

from collections.abc import Callable

from c2d_box.errors import Refused
from sandbox.clusters.existing import access, belongings, wellknown
from sandbox.keys import BoxKeys
from sandbox.progress import Progress, ProgressEvent
from sandbox.settings import ExistingClusterSettings

_SPACES = f"{belongings.SERVICES}, {belongings.JOBS} and {belongings.SYSTEM}"


def ask_consent(
    chosen: ExistingClusterSettings,
    keys: BoxKeys,
    unproven_jobs: bool,
    yes: bool,
    confirm: Callable[[str], bool] | None,
) -> Progress[None]:
    """Refuse well-known secrets, list what the box will add, and continue only after the user agrees.

    ``yes`` is ``--yes``; ``confirm`` asks a person, and is None where nobody can be asked: then only ``yes``
    counts. Raise ``C2D-EXISTING-CONSENT`` otherwise.
    """
    # Before the question: no consent makes published keys acceptable in a cluster of others.
    wellknown.refuse_public_keys(keys)
    text = access.extract_kubeconfig(chosen.kubeconfig, chosen.context)
    where = f"{access.server_url(text)} (context {access.current_context(text)})"
    yield ProgressEvent("cluster.consent", "note", f"this will be added to {where}, and removed by reset:")
    # From the list that `delete` removes, so that what is announced and what is removed cannot differ.
    for line in belongings.describe_objects():
        yield ProgressEvent("cluster.consent", "note", f"  {line}")
    yield ProgressEvent("cluster.consent", "note", f"  images in {chosen.registry}, which stay there")
    if chosen.pull_secret:
        yield ProgressEvent(
            "cluster.consent", "note", f"  a copy of the Secret {chosen.pull_secret} in {_SPACES}"
        )
    elif chosen.pull_by_login:
        whose = f"your docker login's credentials for {chosen.registry}"
        yield ProgressEvent(
            "cluster.consent", "note", f"  {whose}, as a Secret in {_SPACES}: who reads it has them"
        )
    # The operator's switch (docs/adr/0012); said here too, as it is others' data that may leave.
    if unproven_jobs:
        yield ProgressEvent(
            "cluster.consent",
            "note",
            "JOBS WILL RUN EVEN WHERE NOTHING KEEPS THEM FROM THE NETWORK: they can carry data away",
        )
    if not yes and not (confirm is not None and confirm(f"Add it to {where}?")):
        raise Refused(
            "C2D-EXISTING-CONSENT",
            f"Nothing was changed in {where}: nobody agreed.",
            "Answer yes, or pass --yes.",
        )
