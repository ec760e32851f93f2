"""Connects the SDK's two parties, publisher and consumer, to this box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandbox.box import Box
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import demand_contracts

if TYPE_CHECKING:
    from c2d_box.client import Connection, Consumer, Publisher


def connection_to(box: Box) -> Connection:
    """Return the addresses at which the SDK finds this box's services; raise ``C2D-BOX-DOWN`` before the
    first ``up``.
    """
    from c2d_box.client import Connection

    # Before the first ``up`` there is no address file; without this check a user would see a missing file.
    demand_contracts(box)
    return Connection(
        provider_url=box.service_urls["provider"],
        cache_url=box.service_urls["cache"],
        rpc_url=box.service_urls["chain"],
        address_file=box.home.address_file,
        chain_id=box.settings.chain.chain_id,
    )


@contextmanager
def open_publisher(box: Box, who: str) -> Iterator[Publisher]:
    """Yield the account ``who`` as a publisher; connections are closed afterwards."""
    from c2d_box.client import Publisher

    with connection_to(box) as connection:
        yield Publisher(connection, signer(who))


@contextmanager
def open_consumer(box: Box, who: str) -> Iterator[Consumer]:
    """Yield the account ``who`` as a consumer; connections are closed afterwards."""
    from c2d_box.client import Consumer

    with connection_to(box) as connection:
        yield Consumer(connection, signer(who))
