"""Turns a box file into the settings of a box, and settings into a box file.

``box.json`` holds settings as the code uses them, the file holds them as a user writes them. Every key of
the file passes through here in both directions, so a new key is added here and in the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sandbox.box import Box
from sandbox.box_file.reading import file_ports, read_box_file
from sandbox.box_file.schema import (
    BoxFile,
    ChainFileSection,
    ExistingFileSection,
    LimitsFileSection,
    PortsFileSection,
    TrustFileSection,
)
from sandbox.install.external_chain import choose_chain
from sandbox.settings import BoxPorts, BoxSettings, ChainChoice, ExistingClusterSettings


def declared_box(box: Box, path: Path | None = None) -> Box:
    """Return the box with the settings of the file at ``path``, else of the one in its home, else with those
    it has.
    """
    file = path or box.home.declaration_file
    # A box made by options alone goes on with them. A file that was named and is missing raises below.
    if path is None and not file.exists():
        return box
    return replace(
        box, settings=settings_from_file(read_box_file(file), file.absolute().parent, box.settings)
    )


def settings_from_file(file: BoxFile, folder: Path, before: BoxSettings) -> BoxSettings:
    """Return the settings that the file declares for a box that has ``before``. A key that is left out has
    its default; relative paths are seen from ``folder``.
    """
    # A box keeps its cluster: auto is a choice for the first ``up``, and says nothing of somebody's cluster.
    is_kept = file.cluster == "auto"
    return BoxSettings(
        # The name is not in the file: one file in a repository may describe several boxes.
        name=before.name,
        ports=BoxPorts(**file_ports(file)),
        chain=_declared_chain(file.chain, folder, before.chain),
        barge_keys=file.barge_keys,
        trust_empty_lists=file.trust.empty_lists,
        cluster=before.cluster if is_kept else file.cluster,
        result_store=file.result_store,
        existing=before.existing if is_kept else _declared_cluster(file.existing, folder),
        unproven_jobs=before.unproven_jobs if is_kept else file.existing.run_unproven_jobs,
        origins=tuple(file.origins),
        limits=_changed_keys(file.limits),
        values=file.values,
    )


def file_from_settings(settings: BoxSettings) -> BoxFile:
    """Return the file that declares these settings. It is not checked: ``box.json`` may hold a choice with
    which an ``up`` failed.
    """
    # Elsewhere the section would be refused as one without an effect.
    guest = asdict(settings.existing) if settings.cluster == "existing" else {}
    known = LimitsFileSection.model_fields
    # Limits that the file does not know are left out: ``model_construct`` would take any.
    limits: dict[str, Any] = {name: limit for name, limit in settings.limits.items() if name in known}
    return BoxFile.model_construct(
        cluster=settings.cluster or "auto",
        ports=_ports_section(settings.ports),
        chain=ChainFileSection(rpc=settings.chain.rpc_url, address_file=settings.chain.address_file),
        origins=list(settings.origins),
        barge_keys=settings.barge_keys,
        trust=TrustFileSection.model_construct(empty_lists=settings.trust_empty_lists),
        result_store=settings.result_store,
        limits=LimitsFileSection.model_construct(**limits),
        existing=ExistingFileSection.model_construct(**guest, run_unproven_jobs=settings.unproven_jobs),
        values=dict(settings.values),
    )


def setting_keys(settings: BoxSettings) -> dict[str, Any]:
    """Return every setting by its key in the file, ports as the numbers that they come to."""
    # As plain values of JSON, which can be compared and shown.
    document = file_from_settings(settings).model_dump(mode="json")
    return flat_keys({**document, "ports": settings.ports.as_dict()})


def flat_keys(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested sections by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat |= flat_keys(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _declared_chain(chain: ChainFileSection, folder: Path, before: ChainChoice) -> ChainChoice:
    """Return the chain that the section names; an empty one is the box's own test chain."""
    if chain.rpc is None:
        return ChainChoice()
    choice = choose_chain(chain.rpc, folder / chain.address_file if chain.address_file else None)
    # The id is the node's own word, asked at each ``up``.
    return replace(choice, chain_id=before.chain_id) if choice.rpc_url == before.rpc_url else choice


def _declared_cluster(existing: ExistingFileSection, folder: Path) -> ExistingClusterSettings:
    """Return how to reach somebody's cluster; ``run_unproven_jobs`` is a setting of the box, not of it."""
    values = existing.model_dump(exclude={"run_unproven_jobs"})
    if existing.kubeconfig:
        # Absolute, as ``box.json`` is read from other folders later.
        values["kubeconfig"] = str(folder / Path(existing.kubeconfig).expanduser())
    return ExistingClusterSettings(**values)


def _ports_section(ports: BoxPorts) -> PortsFileSection:
    """Return the section for these ports: an offset where all are moved alike, else single ports."""
    usual, chosen = BoxPorts().as_dict(), ports.as_dict()
    # One distance for all ports is how a second box is usually made, and reads as one line.
    offsets = {chosen[name] - usual[name] for name in usual}
    if len(offsets) == 1:
        return PortsFileSection(offset=offsets.pop())
    return PortsFileSection(**{name: port for name, port in chosen.items() if port != usual[name]})


def _changed_keys(section: LimitsFileSection) -> dict[str, int]:
    """Return the limits that differ from the defaults."""
    usual = LimitsFileSection()
    return {name: value for name, value in section.model_dump().items() if value != getattr(usual, name)}
