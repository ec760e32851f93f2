"""``publish --draft``: shows the DDO that would be signed, and its problems, before anything is signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import C2DError
from sandbox.box import Box
from sandbox.install.images import find_image
from sandbox.verbs.publishing.assets import AssetOffer, container_section

UNKNOWN = "0x" + "0" * 40
"""Placeholder for addresses that only the chain can give."""


@dataclass(frozen=True, slots=True)
class DdoPreview:
    """A DDO before signing. ``document`` is what would be signed, except for addresses and sealed files;
    ``problems`` are by path.
    """

    document: dict[str, Any]
    problems: dict[str, str]


def preview_ddo(
    box: Box, who: str, kind: str, source: str, offer: AssetOffer, image: str = "", entrypoint: str = ""
) -> DdoPreview:
    """Return the DDO of a dataset or an algorithm as it would be published now. Changes and asks nothing.

    It is built and checked by the functions that publishing uses, so both find the same problems.
    """
    from c2d_box.assets.documents.drafting import NOBODY, build_ddo, metadata_section, service_section
    from c2d_box.assets.documents.validation import validate_ddo
    from c2d_box.client.rulebook import govern_services

    more, problems = {}, {}
    if kind == "algorithm":
        try:
            more = {"algorithm": {"container": container_section(find_image(box, image), entrypoint)}}
        except C2DError as problem:
            problems["metadata.algorithm.container"] = problem.message
    # The one check that the schema cannot make.
    if "://" not in source and not Path(source).expanduser().is_file():
        problems["services.0.files"] = f"there is no file {source or '…'}"
    metadata = metadata_section(kind, offer.name, offer.description, offer.author or who, "CC-BY-4.0", more)
    services = [
        service_section(
            service,
            datatoken=UNKNOWN,
            endpoint=box.service_urls["provider"],
            files="0x",
            timeout=offer.timeout,
            compute=NOBODY,
        )
        for service in offer.services
    ]
    document = build_ddo(UNKNOWN, box.settings.chain.chain_id, metadata, services)
    govern_services(document, {"disclosure": offer.disclosure} if offer.disclosure else {})
    return DdoPreview(document, {**validate_ddo(document), **problems})
