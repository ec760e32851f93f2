"""A chain as one object: its node, its contracts, and the few reads everybody needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from c2d_box.assets.addresses import ZERO, checksum_address
from c2d_box.chain import abis
from c2d_box.chain.addresses import ContractAddresses
from c2d_box.chain.failures import wrapped
from c2d_box.chain.views import ViewCall, decode_answers
from c2d_box.errors import StateProblem
from c2d_box.retry import Backoff
from c2d_box.units import LOCAL_CHAIN_ID

if TYPE_CHECKING:
    from web3 import Web3
    from web3.contract import Contract
    from web3.providers import BaseProvider
    from web3.types import TxReceipt


class Chain:
    """A JSON-RPC node together with the addresses of Ocean's contracts on its chain.

    The first use compares the node's chain id with the address file's: orders on another chain mean nothing.
    """

    def __init__(
        self,
        rpc_url: str | BaseProvider,
        addresses: ContractAddresses,
        timeout: float = 20,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """``headers`` go with every request to a node that asks who is calling."""
        # Imports web3, which takes a second: a process that never opens a chain does not pay it.
        from c2d_box.chain import client

        self.addresses = addresses
        self._client = client
        self._web3 = client.connected(rpc_url, timeout, headers or {})
        self._contracts: dict[tuple[str, str], Contract] = {}
        self._decimals: dict[str, int] = {}
        self._checked = False
        self._lock = threading.Lock()

    @property
    def chain_id(self) -> int:
        """The id of the chain whose contracts these are, by the address file."""
        return self.addresses.chain_id

    @property
    def network(self) -> str:
        """The network's name as the Provider's texts say it."""
        # Ocean's Provider calls chain 8996 so, and its clients show these texts.
        return "Ganache" if self.chain_id == LOCAL_CHAIN_ID else self.addresses.network or "Unknown"

    @property
    def web3(self) -> Web3:
        """The client itself; the first access proves that the node serves the right chain."""
        if not self._checked:
            with wrapped("asking for the chain id"):
                found = self._web3.eth.chain_id
            # A repeated check by two threads is harmless, so there is no lock around the first use.
            if found != self.chain_id:
                raise StateProblem(
                    "C2D-CHAIN-MISMATCH",
                    f"the node serves chain {found}, the address file means chain {self.chain_id}",
                    "use the node and the address file of one chain",
                )
            self._checked = True
        return self._web3

    def contract_at(self, name: str, address: str) -> Contract:
        """Return web3's contract ``name`` (Solidity name) at ``address``, for sending; views do not use
        it."""
        key = (name, checksum_address(address))
        with self._lock:
            if key not in self._contracts:
                # Orders and publications go to any number of contracts: without a bound it grows for ever.
                if len(self._contracts) > 2048:
                    self._contracts.clear()
                self._contracts[key] = self._web3.eth.contract(
                    address=cast(Any, key[1]), abi=abis.contract_abi(name)
                )
            return self._contracts[key]

    def read_view(self, name: str, address: str, function: str, *arguments: Any) -> Any:
        """Call a view function and return what it answers at the latest block.

        Raises Refused C2D-CHAIN-REVERTED where the contract reverts, Failed where it is no such contract.
        """
        view = ViewCall(name, address, function, arguments)
        with wrapped(f"reading {function}"):
            answer = self._client.call_many(self.web3, [view.call_parameters()])[0]
            return view.decode_result(self._client.unwrap_result(answer))

    def read_many(self, views: Sequence[ViewCall]) -> list[Any]:
        """Call all the view functions in one request and return what each answers; None where there is no
        such contract."""
        with wrapped("reading contracts"):
            asked = [view.call_parameters() for view in views]
            # One contract that reverts must not spoil the others' answers, so errors are None here.
            return decode_answers(views, self._client.call_many(self.web3, asked))

    def latest_block(self) -> int:
        """Return the number of the newest block."""
        with wrapped("asking for the latest block"):
            return int(self.web3.eth.block_number)

    def block_header(self, number: int | str) -> Mapping[str, Any]:
        """A block's header (``number``, ``hash``, ``parentHash``, ``timestamp``, …)."""
        with wrapped("reading a block"):
            return cast(Mapping[str, Any], self.web3.eth.get_block(cast(Any, number)))

    def find_receipt(self, tx: str) -> TxReceipt | None:
        """The receipt of a mined transaction, or None."""
        with wrapped("reading a receipt"):
            return self._client.find_receipt(self.web3, tx)

    def wait_for_receipt(self, tx: str, timeout: float = 120, unknown: float = 5) -> TxReceipt | None:
        """Return the receipt of ``tx``, waiting up to ``timeout`` seconds for its block; None when it does
        not come.

        A transaction that the node does not know is given only ``unknown`` seconds, so that an invented hash
        holds nobody up.
        """
        # Own polling instead of web3's: that one waits its whole timeout for an invented hash too.
        start, backoff = time.monotonic(), Backoff(0.01, 1.0, 1.5)
        while True:
            found = self.find_receipt(tx)
            waited = time.monotonic() - start
            if found is not None or waited >= timeout:
                return found
            # A node behind a load balancer may learn of a transaction a moment after it was accepted.
            if waited >= unknown and not self.has_transaction(tx):
                return None
            time.sleep(min(backoff.next_pause(), timeout - waited))

    def decimals(self, token: str) -> int:
        """Return the decimals of an ERC-20 token; they never change, so they are asked for once.

        The zero address stands for what is free and counts like the chain's coin.
        """
        if token == ZERO:
            # No request: there is no contract at the zero address.
            return 18
        if token not in self._decimals:
            self._decimals[token] = int(self.read_view(abis.DATATOKEN, token, "decimals"))
        return self._decimals[token]

    def balance_of(self, address: str, token: str | None = None) -> int:
        """Return the balance in base units of ``token``, or of the chain's own coin."""
        if token is not None:
            return int(self.read_view(abis.DATATOKEN, token, "balanceOf", checksum_address(address)))
        with wrapped("reading a balance"):
            return int(self.web3.eth.get_balance(cast(Any, checksum_address(address))))

    def get_logs(
        self,
        topics: Sequence[str],
        from_block: int,
        to_block: int | str = "latest",
        address: str | Sequence[str] | None = None,
        rest: Sequence[str | None] = (),
    ) -> list[Mapping[str, Any]]:
        """Return the logs whose first topic is one of ``topics``.

        ``rest``: the topics after the first, None for any. ``to_block`` may be a tag. Decoding, and the
        judgement of the emitter, are the caller's (:mod:`c2d_box.chain.events`).
        """
        wanted = [list(topics), *rest]
        query: dict[str, Any] = {"fromBlock": from_block, "toBlock": to_block, "topics": wanted}
        # An absent key means every contract; nodes differ in how they read null.
        if address:
            query["address"] = address
        with wrapped("reading logs"):
            return cast(list[Mapping[str, Any]], self.web3.eth.get_logs(cast(Any, query)))

    def has_transaction(self, tx: str) -> bool:
        """Return whether the node knows a transaction, mined or not."""
        with wrapped("looking a transaction up"):
            return self._client.has_transaction(self.web3, tx)
