"""Reads the chain for the Provider: the synchronous chain package, called on threads.

Every request asks where the head is, and nothing else that was asked under that head already.
The contracts may be deployed after the Provider has started, so the chain is opened at the first question
that can be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

import httpx

from c2d_box.assets.addresses import checksum_address
from c2d_box.assets.files import SmartContractFile
from c2d_box.chain import Chain, addresses, contracts, events, nfts, orders
from c2d_box.chain.atblock import BlockPinnedChain
from c2d_box.chain.orders import Order, OrderClaim, OrderInvalid, ProviderFee
from c2d_box.errors import C2DError
from c2d_box.provider.limits.order_waits import OrderWaitLimiter
from c2d_box.provider.limits.single_flight import SingleFlight
from c2d_box.storage import ChainAway
from c2d_box.strict_json import parse_json
from c2d_box.units import LOCAL_CHAIN_ID

P = ParamSpec("P")
T = TypeVar("T")

READY_SECONDS = 2.0
"""The seconds within which a readiness probe is answered, whatever the node does."""
_THREADS = 48
"""Threads that wait for the node. web3 is synchronous, so this is the number of questions at the same
time."""


class ChainUnavailable(Exception):
    """The chain cannot be read now: the node does not answer, or fails."""


@dataclass(frozen=True)
class ChainHead:
    """The newest block of the chain."""

    number: int
    hash: str


@dataclass(frozen=True)
class PublishedDocument:
    """The document that one transaction published for one NFT, compressed or encrypted as ``flags`` say, with
    the hash that the chain holds for it."""

    data: bytes
    flags: int
    hash: str


class ChainGateway:
    """Answers the Provider's questions to the chain, each as of a head that was read after the question
    came. Its methods raise ChainUnavailable when the node fails; an unknown contract reads as None where
    None is possible."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        rpc_url: str,
        address_file: str,
        chain_id: int,
        patience: OrderWaitLimiter,
    ) -> None:
        self._client = client
        self._rpc_url = rpc_url
        self._address_file = address_file
        self.chain_id = chain_id
        self._patience = patience
        self._chain: Chain | None = None
        self._opening = asyncio.Lock()
        # All requests of one moment share one question for the head.
        self._head = SingleFlight(self._asked_head)
        # The answers under the head that was seen last. Another head, also one of another branch, begins
        # anew.
        self._at_head: tuple[ChainHead, BlockPinnedChain] | None = None
        # Threads of its own: a slow node must not take those on which the loop resolves names.
        self._threads = ThreadPoolExecutor(_THREADS, "ledger")

    @property
    def network_name(self) -> str:
        """The network's name, as error texts show it."""
        if self._chain is not None:
            return self._chain.network
        # The original's name for the local test chain.
        return "Ganache" if self.chain_id == LOCAL_CHAIN_ID else "Unknown"

    async def is_ready(self) -> bool:
        """Return whether the chain answers now, for readiness reports."""
        try:
            # A question that goes on in its thread is let go; the next probe asks again.
            async with asyncio.timeout(READY_SECONDS):
                await self._current_chain()
        except (ChainUnavailable, TimeoutError):
            return False
        return True

    @property
    def was_opened(self) -> bool:
        """True once the chain has been opened since the process started."""
        return self._chain is not None

    def close(self) -> None:
        """Let the threads go without waiting for the node, whose answers nobody needs any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def nft_state(self, nft: str, at: ChainHead | None = None) -> int | None:
        """Return the NFT's state, None for what is no data NFT. ``at`` is a head that was read since the
        request came, which saves reading it again; the answer is of this head or of a newer one."""
        return await self._ask_or_none(lambda chain: nfts.read_state(chain, checksum_address(nft)), at)

    async def nft_owner(self, nft: str, at: ChainHead | None = None) -> str:
        """Return the owner of an NFT, empty for what is no NFT."""
        return await self._ask_or_none(lambda chain: nfts.nft_owner(chain, checksum_address(nft)), at) or ""

    async def datatoken_market(self, datatoken: str, at: ChainHead | None = None) -> str:
        """Return the market that published a datatoken, empty where there is none."""
        return (
            await self._ask_or_none(
                lambda chain: nfts.publishing_market(chain, checksum_address(datatoken)), at
            )
            or ""
        )

    async def is_genuine(self, nft: str) -> bool:
        """Return whether Ocean's factory made this NFT."""
        return bool(await self._ask_or_none(lambda chain: nfts.is_deployed_nft(chain, checksum_address(nft))))

    async def verified_order(self, claim: OrderClaim) -> Order:
        """Return the verified order. Raise OrderInvalid, also where the datatoken is no contract of its kind.

        A transaction that is not mined yet is waited for, as long as the limit of waits of the client's
        network address allows (see :class:`OrderWaitLimiter`).
        """

        async def verified() -> Order:
            # The chain package must not wait itself: it would block a thread, and strangers could take all of
            # them.
            return await self._verify_order(replace(claim, wait=0))

        async def known() -> bool:
            return await self._ask_chain(lambda chain: chain.has_transaction(claim.tx.lower()))

        return await self._patience.until_mined(verified, known, claim.wait)

    async def _verify_order(self, claim: OrderClaim) -> Order:
        """Verify an order once, without waiting. A datatoken that answers with nothing is the claim's
        fault and no outage, so it becomes OrderInvalid."""
        try:
            return await self._ask_chain(lambda chain: orders.verify_order(chain, claim))
        except _NodeRefused:
            raise OrderInvalid(f"Datatoken {claim.datatoken} cannot be read from the chain.") from None

    async def quote_fee(
        self,
        key: str,
        *,
        datatoken: str,
        service_id: str,
        environment: str | None = None,
        price_per_minute: float = 0,
        valid_until: int = 0,
        token: str | None = None,
        now: float | None = None,
    ) -> ProviderFee:
        """Return a signed fee for an order of this service, as the datatoken's contract verifies it.
        ``key`` signs it; ``valid_until`` is in Unix seconds, 0 without an end; ``price_per_minute`` is in
        whole tokens."""
        chain = await self._open_chain()
        return await self._run_in_thread(
            lambda: orders.quote_fee(
                chain,
                key,
                datatoken=datatoken,
                service_id=service_id,
                environment=environment,
                price_per_minute=price_per_minute,
                valid_until=valid_until,
                token=token,
                now=now,
            )
        )

    async def fee_token(self, configured: str | None) -> str:
        """Return the token in which fees are paid: the configured one, else Ocean's."""
        return checksum_address(configured) if configured else (await self._open_chain()).addresses.ocean

    async def fee_amount(self, seconds: float, per_minute: float, token: str) -> int:
        """Return the price of so many seconds in base units of ``token``."""
        # A free environment needs no chain, so its price is known during an outage too.
        if per_minute <= 0:
            return 0
        chain = await self._open_chain()
        return await self._run_in_thread(
            lambda: orders.fee_amount(seconds, per_minute, chain.decimals(token))
        )

    async def current_head(self) -> ChainHead:
        """Return the chain's newest block, read after this call. Raise ChainUnavailable."""
        await self._current_chain()
        assert self._at_head is not None
        return self._at_head[0]

    async def block_time(self, number: int) -> int:
        """Return the Unix time of a block."""
        return await self._ask_chain(lambda chain: int(chain.block_header(number)["timestamp"]))

    async def published_document(self, tx: str, nft: str) -> PublishedDocument | None:
        """Return the first document that ``tx`` published for ``nft``."""
        return await self._ask_or_none(lambda chain: _find_published(chain, tx, checksum_address(nft)))

    async def read_contract(self, file: SmartContractFile, arguments: list[Any]) -> Any:
        """Return the result of a view function for a file of type ``smartcontract``. The publisher chose
        address and function, so a contract that refuses is the file's fault; ChainAway is raised only
        where the node is silent."""
        # 0 stands for a file that names no chain.
        if file.chain_id not in (0, self.chain_id):
            raise ValueError("another chain")
        try:
            return await self._ask_chain(
                lambda chain: contracts.call_function(chain, file.address, dict(file.abi), arguments)
            )
        except _NodeRefused:
            raise
        except ChainUnavailable:
            raise ChainAway from None

    async def _ask_or_none(self, question: Callable[[Chain], T], at: ChainHead | None = None) -> T | None:
        """Return the answer, or None where the address is no such contract. Raise ChainUnavailable only
        when the node itself fails."""
        try:
            return await self._ask_chain(question, at)
        # ValueError: the text is no address at all.
        except (_NodeRefused, ValueError):
            return None

    async def _ask_chain(self, question: Callable[[Chain], T], at: ChainHead | None = None) -> T:
        """Return the answer to a question, as of the present head. Raise ChainUnavailable, or its kind
        ``_NodeRefused`` where the node answered with no value."""
        chain = await self._current_chain(at)
        return await self._run_in_thread(partial(question, chain))

    async def _run_in_thread(self, question: Callable[[], T]) -> T:
        """Run a question on a thread, and turn the chain package's errors into an outage or a refusal of
        the node."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, question)
        except C2DError as error:
            # Another chain at the address is an outage like none at all: nothing that it says may be used.
            if error.code in ("C2D-CHAIN-UNREACHABLE", "C2D-CHAIN-MISMATCH"):
                raise ChainUnavailable(error.code) from error
            raise _NodeRefused(error.code) from error

    async def _current_chain(self, at: ChainHead | None = None) -> BlockPinnedChain:
        """Return the chain as of its head now; with ``at``, as of the head that was read last, which is
        ``at`` or one after it."""
        chain = await self._open_chain()
        # The caller has had the head read for this request, so what is kept is at least as new.
        if at is not None and self._at_head is not None:
            return self._at_head[1]
        head = await self._head()
        # Number and hash are compared: a reorganisation can change the block of a number.
        if self._at_head is None or self._at_head[0] != head:
            self._at_head = head, BlockPinnedChain(chain)
        return self._at_head[1]

    async def _asked_head(self) -> ChainHead:
        """Return the newest block. Raise ChainUnavailable where the node gives none."""
        # By httpx and not by web3: this is asked for every request, and needs no thread.
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        try:
            answer = await self._client.post(self._rpc_url, json=question)
            block = parse_json(answer.content)["result"]
            return ChainHead(int(block["number"], 16), str(block["hash"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise ChainUnavailable("the head is not known") from None

    async def _open_chain(self) -> Chain:
        """Return the chain, opened at the first question that finds its contracts deployed."""
        if self._chain is None:
            # Once for all: loading web3 takes a second and 30 MiB.
            async with self._opening:
                if self._chain is None:
                    self._chain = await self._run_in_thread(self._load_chain)
        return self._chain

    def _load_chain(self) -> Chain:
        """Open the chain; blocks. Raise ChainUnavailable while the contracts' address file is missing."""
        try:
            found = addresses.load_addresses(self._address_file, self.chain_id)
        except C2DError as error:
            raise ChainUnavailable(error.code) from error
        chain = Chain(self._rpc_url, found)
        _ = chain.web3  # proves that it is the right chain
        return chain


class _NodeRefused(ChainUnavailable):
    """The node answered, but not with a value: no contract there, or it reverted."""


def _find_published(chain: Chain, tx: str, nft: str) -> PublishedDocument | None:
    """Return the document that a transaction published for an NFT, None where it published none."""
    event = events.metadata_of(chain, tx, nft)
    if event is None:
        return None
    # 1 compressed, 2 encrypted, 3 both, as the publishing client says.
    flags = int.from_bytes(bytes(event["flags"]), "big")
    return PublishedDocument(bytes(event["data"]), flags, str(event["metaDataHash"]))
