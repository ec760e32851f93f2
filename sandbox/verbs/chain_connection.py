"""Connects to the chain of this box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2d_box.errors import StateProblem
from sandbox.box import Box

if TYPE_CHECKING:
    from c2d_box.chain import Chain


def demand_contracts(box: Box) -> None:
    """Raise ``C2D-BOX-DOWN`` before the first ``up``, which deploys Ocean's contracts."""
    if not box.home.address_file.exists():
        raise StateProblem("C2D-BOX-DOWN", "this box is not up", box.command_line("up"))


def chain_of(box: Box) -> Chain:
    """Return the box's chain with Ocean's contracts. Raises ``C2D-BOX-DOWN`` before the first ``up``."""
    from c2d_box.chain import Chain, addresses

    demand_contracts(box)
    # The address file lists contracts of several networks; the chain id chooses.
    return Chain(
        box.service_urls["chain"],
        addresses.load_addresses(box.home.address_file, box.settings.chain.chain_id),
    )
