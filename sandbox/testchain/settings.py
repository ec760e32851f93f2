"""The configuration file of the chain, as the chart and ``c2d-box`` write it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from c2d_box.errors import UsageError

BARGE_MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
"""Ocean's local test mnemonic. Public: it funds accounts, it protects nothing."""

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1", "chain", "chain.c2d", "*.svc", "*.svc.cluster.local")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Listen(_Model):
    host: str = "127.0.0.1"
    port: int = Field(default=8545, ge=0, le=65535)


class Settings(_Model):
    """``allowedHosts`` are exact names or ``*.suffix``; ``allowedOrigins`` are full origins
    (scheme://host:port).
    """

    listen: Listen = Listen()
    chain_id: int = Field(default=8996, ge=1)
    data_dir: Path = Path("/var/lib/c2d")
    secrets_dir: Path | None = None
    mnemonic: str = BARGE_MNEMONIC
    accounts: int = Field(default=20, ge=1, le=100)
    allowed_hosts: tuple[str, ...] = DEFAULT_HOSTS
    allowed_origins: tuple[str, ...] = ()
    deploy_contracts: bool = True
    pool_contracts: Path | None = None
    """Folder with the compiled contracts of release 1.1.14; without it the chain has no pools."""
    body_limit: int = Field(default=5 * 1024 * 1024, ge=1024)
    """Largest request body in bytes."""
    batch_limit: int = Field(default=1000, ge=1)
    """Most requests in one batch."""


def load(path: Path) -> Settings:
    """Read the settings; :class:`UsageError` says which key is wrong."""
    try:
        return Settings.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise UsageError("C2D-CONFIG-UNREADABLE", f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            "C2D-CONFIG-INVALID", f"{path}: {where}: {first['msg']}", "Correct that key."
        ) from error
    except ValueError as error:
        raise UsageError("C2D-CONFIG-INVALID", f"{path} is not JSON: {error}", "Correct the file.") from error
