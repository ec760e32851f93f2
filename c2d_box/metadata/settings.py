"""The metadata cache's configuration file; its one secret, ``cache-key``, is a file of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from c2d_box.service.settings import ChainSection, ListenSection, SettingsSection


class MetadataListen(ListenSection):
    port: int = 5000


class MetadataSettings(SettingsSection):
    """``endpoint_aliases``: Provider URLs as publishers wrote them, and where those Providers are from
    here; their targets are the only non-public addresses the cache may ask. ``poll_seconds`` counts where
    the node has no long poll for its head; ``span`` is how many blocks one question for logs covers at most;
    ``confirmations`` is how many blocks must follow one before it is read. The cache is ready while it was
    level with the head within the last ``ready_seconds``."""

    listen: MetadataListen = MetadataListen()
    chain: ChainSection
    endpoint_aliases: dict[str, str] = Field(default_factory=dict)
    database: Path = Path("/var/lib/c2d/cache.sqlite")
    secrets_dir: Path = Path("/etc/c2d/secrets")
    poll_seconds: float = 0.25
    # For one document from the connection to its last byte.
    decrypt_seconds: float = 4.0
    # Halved when the node refuses, so it is only where to begin.
    span: int = Field(default=2000, ge=1)
    # 0 reads up to the head, because blocks that are taken back take their records along. The Provider's
    # ``freshness.blocks`` must be at least this.
    confirmations: int = Field(default=0, ge=0)
    ready_seconds: float = Field(default=30.0, gt=0)
    # Empty lists let everybody in.
    allowed_publishers: tuple[str, ...] = ()
    allowed_validators: tuple[str, ...] = ()
    # Bytes of a document, and of a request's body.
    max_document: int = 4 << 20
