"""The DDO: what is published about an asset, read leniently and written back unchanged.

Unknown keys are kept and absent keys stay absent (``raw``), because the document is hashed, signed and
re-published by editing clients. Fields on which a decision hangs keep whatever type was published: turning
the text ``"true"`` into a yes would open a dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from c2d_box.strict_json import parse_json

ACCESS = "access"
"""Type of a service whose files are downloaded."""
COMPUTE = "compute"
"""Type of a service whose files are only computed on."""


class _DdoNode(BaseModel):
    """A part of a DDO. Unknown keys are kept and absent ones stay absent, so that :meth:`raw` gives back what
    was published."""

    # ``defer_build``: a program that only reads a constant from here does not wait for the models.
    model_config = ConfigDict(
        extra="allow", frozen=True, defer_build=True, alias_generator=to_camel, populate_by_name=True
    )

    @property
    def raw(self) -> dict[str, Any]:
        """The node as published: same keys, same values, nothing added."""
        # ``exclude_unset``: a default of ours must not appear in a document that is hashed and signed.
        return self.model_dump(by_alias=True, exclude_unset=True)


class DdoContainer(_DdoNode):
    """Image and command of an algorithm; ``$ALGO`` in the entrypoint is the algorithm file's path."""

    entrypoint: str = ""
    image: str = ""
    tag: str = ""
    checksum: str = ""


class DdoAlgorithm(_DdoNode):
    """The ``algorithm`` section of an algorithm's metadata. Its ``container`` decides what runs, so
    permissions hold its checksum."""

    container: DdoContainer | None = None
    rawcode: str | None = None
    language: str | None = None
    version: str | None = None
    consumer_parameters: list[Any] | None = None


class DdoMetadata(_DdoNode):
    """The ``metadata`` section of a DDO. Publishers write it freely: only the type and the ``algorithm``
    section decide anything."""

    name: str = ""
    description: str = ""
    type: str = ""
    author: str = ""
    license: str = ""
    algorithm: DdoAlgorithm | None = None


class ComputeRules(_DdoNode):
    """The rules of a compute service on whom it trusts, uninterpreted: see
    :mod:`c2d_box.assets.permissions`."""

    # Any: with a declared type pydantic would turn "true" or 1 into True.
    allow_raw_algorithm: Any = None
    allow_network_access: Any = None
    publisher_trusted_algorithms: Any = None
    publisher_trusted_algorithm_publishers: Any = None


class DdoService(_DdoNode):
    """One entry of a DDO's ``services``, of type ``access`` or ``compute``."""

    id: str = ""
    type: str = ""
    name: str | None = None
    description: str | None = None
    datatoken_address: str = ""
    service_endpoint: str = ""
    files: str = ""
    timeout: int = 0
    """Seconds for which an order carries; 0 means without end."""
    compute: ComputeRules | None = None
    consumer_parameters: list[Any] | None = None
    additional_information: Any = None

    @property
    def trust_settings(self) -> dict[str, Any]:
        """``additionalInformation.c2d``: the trust settings for which the DDO has no field of its own."""
        extra = self.additional_information
        section = extra.get("c2d") if isinstance(extra, dict) else None
        return section if isinstance(section, dict) else {}


class DDO(_DdoNode):
    """A whole DDO, as published or as a metadata cache hands it out; :meth:`parse` reads one."""

    context: Any = Field(default=None, alias="@context")
    id: str
    version: str = ""
    chain_id: int = 0
    nft_address: str = ""
    metadata: DdoMetadata = DdoMetadata()
    services: Sequence[DdoService] = ()
    credentials: Any = None
    nft: dict[str, Any] | None = None
    """Added by metadata caches and no part of what is published."""

    @classmethod
    def parse(cls, document: dict[str, Any] | str | bytes) -> Self:
        """Return a DDO from JSON text or an already parsed object. Raise pydantic's ValidationError if it is
        neither."""
        value = parse_json(document) if isinstance(document, str | bytes) else document
        return cls.model_validate(value)

    def find_service(self, service_id: str) -> DdoService | None:
        """Return the service with this id (clients send ``0`` and ``"0"`` alike)."""
        return next((s for s in self.services if s.id == str(service_id)), None)

    def index_of(self, service_id: str) -> int | None:
        """Return the service's position: the ``serviceIndex`` of its orders on the chain."""
        return next((i for i, s in enumerate(self.services) if s.id == str(service_id)), None)

    def first_service(self, kind: str) -> DdoService | None:
        """Return the first service of type ``access`` or ``compute``."""
        return next((s for s in self.services if s.type == kind), None)

    @property
    def is_algorithm(self) -> bool:
        """True for an algorithm; any other asset is a dataset."""
        return self.metadata.type == "algorithm"

    @property
    def container(self) -> DdoContainer | None:
        """Image and command of an algorithm; None for a dataset, and for an algorithm whose publisher gave
        none."""
        return self.metadata.algorithm.container if self.metadata.algorithm else None
