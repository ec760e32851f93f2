"""Sections that the settings of several services have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from c2d_box.units import LOCAL_CHAIN_ID


class SettingsSection(BaseModel):
    """A part of a service's configuration file: camelCase keys, and no key that the service does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ListenSection(SettingsSection):
    """The address that a service listens on; each service has a default port of its own."""

    # All addresses of the pod, since its address is known only once it runs.
    host: str = "0.0.0.0"
    port: int


class ChainSection(SettingsSection):
    """The node that a service reads. ``address_file`` is a path or a URL."""

    id: int = LOCAL_CHAIN_ID
    rpc_url: str
    address_file: str
