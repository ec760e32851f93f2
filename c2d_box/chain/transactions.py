"""Sending: sign locally, assign nonces without gaps, estimate gas, and say why a contract refused.

The account's next nonce is read and used under one lock per account and chain, so threads of one process
never collide; another process with the same key may still come first, and then the nonce is read again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from c2d_box.assets.addresses import checksum_address, keccak256
from c2d_box.chain import abis, failures
from c2d_box.chain.accounts import Signer
from c2d_box.chain.failures import wrapped
from c2d_box.chain.node import Chain
from c2d_box.errors import C2DError, Failed

if TYPE_CHECKING:
    from web3.types import TxReceipt

# Each attempt lost means that another process sent with the same key between reading and sending.
_ATTEMPTS = 8
# The state may change between estimate and block; unused gas is not charged.
_GAS_MARGIN = 1.25
_Locks = defaultdict[tuple[int, str], threading.RLock]
# Two locks per account: sending is short, spending spans several transactions and takes sending inside.
_sending: _Locks = defaultdict(threading.RLock)
_spending: _Locks = defaultdict(threading.RLock)
# Guards the two tables: a defaultdict may make two locks for one key when threads race.
_guard = threading.Lock()


def spending_lock(chain: Chain, signer: Signer) -> threading.RLock:
    """Return the lock to hold from reading an account's balances and allowances until the transaction that
    uses them up.

    An allowance belongs to an account, not to a thread: two purchases side by side would each approve their
    own and spend the other's.
    """
    with _guard:
        return _spending[(chain.chain_id, signer.address)]


def send(
    chain: Chain, signer: Signer, contract: str, address: str, function: str, *arguments: Any
) -> TxReceipt:
    """Call ``function`` of the contract as ``signer``; return its receipt once a block holds it.

    Raises Refused (C2D-CHAIN-REVERTED) with the contract's words, Refused (C2D-CHAIN-FUNDS), or Failed.
    """
    chain.web3  # noqa: B018 - the first use checks the chain id
    call = chain.contract_at(contract, address).functions[function](*arguments)
    # Only the submission is repeated. Once the node has accepted the transaction it is never sent anew.
    for attempt in range(_ATTEMPTS):
        try:
            # Released before the wait for a block, so that another thread can send the next nonce meanwhile.
            with _nonce_lock(chain, signer):
                tx = _submit(chain, signer, call, function)
            break
        except C2DError as error:
            if not failures.is_nonce_conflict(error) or attempt == _ATTEMPTS - 1:
                raise
    try:
        # ``unknown`` is as long as the timeout: the node accepted it, so not knowing it is a passing state.
        receipt = chain.wait_for_receipt(tx, unknown=120)
    except C2DError as error:
        error.details.setdefault("tx", tx)  # sent all the same: a block may take it
        raise
    if receipt is None:
        raise Failed(
            failures.NOT_MINED,
            f"{function} was sent as {tx}, but no block has taken it for two minutes",
            "look the transaction up before sending it again",
            tx=tx,
        )
    # It passed the estimate and failed in its block: another transaction changed the state in between.
    if receipt["status"] != 1:
        raise failures.revert_error(function, _replay_reason(call, signer, receipt))
    return receipt


def ensure_allowance(
    chain: Chain, signer: Signer, token: str, spender: str, amount: int, *, exactly: bool = False
) -> None:
    """Let ``spender`` take ``amount`` base units of ``token``, where it may not yet.

    With ``exactly`` an allowance above it is lowered too, since an allowance is all that limits what an
    order's fees may take.
    """
    allowed = int(
        chain.read_view(abis.DATATOKEN, token, "allowance", signer.address, checksum_address(spender))
    )
    if allowed < amount or (exactly and allowed > amount):
        send(chain, signer, abis.DATATOKEN, token, "approve", checksum_address(spender), amount)


@dataclass(frozen=True)
class UnsignedTransaction:
    """A transaction before it is signed."""

    contract: str
    address: str
    function: str
    arguments: tuple[Any, ...] = ()


RecordTransaction = Callable[[str, str | None], None]
"""Callback that records a signed transaction in the place of another (None: of none) before it is sent."""


def send_idempotent(
    chain: Chain, signer: Signer, call: UnsignedTransaction, known: str | None, record: RecordTransaction
) -> TxReceipt:
    """Like :func:`send`, for a sender that may die at any moment and be started again: never sent twice.

    What is signed goes on record first, and ``known`` is what was found there. Another transaction is signed
    only when the nonce of the recorded one was taken by a different transaction, so that no block can take
    it.
    """
    chain.web3  # noqa: B018 - the first use checks the chain id
    for _ in range(_ATTEMPTS):
        # The record is written before the first broadcast: a crash between the two loses nothing.
        if known is None:
            known = _on_record(chain, signer, call, None, record)
        # The record is ``nonce:signed transaction``; the hash follows from the bytes alone.
        number, _, raw = known.partition(":")
        tx = "0x" + keccak256(bytes.fromhex(raw.removeprefix("0x"))).hex()
        receipt = chain.find_receipt(tx)
        # Sending the same bytes again is harmless: a node that has them says "already known".
        if receipt is None and not _is_overtaken(chain, signer, int(number)):
            _broadcast_raw(chain, raw)
            receipt = chain.wait_for_receipt(tx, unknown=5)
        # The nonce is used. Look once more: the block may be that of this very transaction.
        if receipt is None and _is_overtaken(chain, signer, int(number)):
            receipt = chain.find_receipt(tx)
            if receipt is None:
                # Ours can never be mined any more, so a new one cannot be the second.
                known = _on_record(chain, signer, call, known, record)
                continue
        if receipt is None:
            continue
        # A failed transaction has used its nonce up: the caller decides, nothing is sent again.
        if receipt["status"] != 1:
            bound = chain.contract_at(call.contract, call.address).functions[call.function](*call.arguments)
            raise failures.revert_error(call.function, _replay_reason(bound, signer, receipt))
        return receipt
    raise Failed(failures.NOT_MINED, f"no block takes {call.function}", "see whether the chain makes blocks")


def _on_record(
    chain: Chain, signer: Signer, call: UnsignedTransaction, replaces: str | None, record: RecordTransaction
) -> str:
    """Sign the call with the next nonce and record it, before anything is sent; return what was recorded."""
    bound = chain.contract_at(call.contract, call.address).functions[call.function](*call.arguments)
    with wrapped(call.function):
        fresh = "{}:{}".format(*_sign_call(chain, signer, bound))
    # Before the broadcast: if this raises, the transaction was never seen by any node.
    record(fresh, replaces)
    return fresh


def _broadcast_raw(chain: Chain, raw: str) -> None:
    """Send a signed transaction. A nonce conflict is no error here: that the node knows the transaction
    already, or takes another one first, shows in what follows."""
    try:
        with wrapped("sending"):
            chain.web3.eth.send_raw_transaction(cast(Any, raw))
    except C2DError as error:
        if not failures.is_nonce_conflict(error):
            raise


def _is_overtaken(chain: Chain, signer: Signer, number: int) -> bool:
    """Return whether a block has used the nonce ``number`` of the account.

    "latest" and not "pending": a transaction in the pool may still be replaced.
    """
    with wrapped("asking for the account's number"):
        return int(chain.web3.eth.get_transaction_count(cast(Any, signer.address), "latest")) > number


def hash_of(receipt: TxReceipt) -> str:
    """Return the transaction's hash: 0x and lower-case hex."""
    return "0x" + bytes(receipt["transactionHash"]).hex()


def _submit(chain: Chain, signer: Signer, call: Any, function: str) -> str:
    """Sign and send the call with the account's next nonce; return the transaction's hash. The caller
    holds the lock."""
    with wrapped(function):
        _, raw = _sign_call(chain, signer, call)
        return "0x" + bytes(chain.web3.eth.send_raw_transaction(cast(Any, raw))).hex()


def _sign_call(chain: Chain, signer: Signer, call: Any) -> tuple[int, str]:
    """Return the nonce of the transaction, and the signed transaction as hex."""
    web3 = chain.web3
    # "pending" counts the account's own transactions that wait for a block.
    nonce = int(web3.eth.get_transaction_count(cast(Any, signer.address), "pending"))
    # Raises with the contract's reason, so that a call that would fail is never paid for.
    gas = call.estimate_gas({"from": signer.address})
    fields = {
        "from": signer.address,
        "nonce": nonce,
        "gas": int(gas * _GAS_MARGIN),
        # EIP-155: the signed transaction is valid on this chain only.
        "chainId": chain.chain_id,
        **_gas_price(chain),
    }
    signed = web3.eth.account.sign_transaction(call.build_transaction(fields), signer.key)
    return nonce, "0x" + bytes(signed.raw_transaction).hex()


def _gas_price(chain: Chain) -> Mapping[str, int]:
    """Return EIP-1559 fields where blocks have a base fee (room for six full blocks), a gas price
    elsewhere."""
    web3 = chain.web3
    base = web3.eth.get_block("latest").get("baseFeePerGas")
    if base is None:
        return {"gasPrice": web3.eth.gas_price}
    tip = web3.eth.max_priority_fee
    # The base fee rises by at most 1/8 per block: 1.125**6 is about 2.
    return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}


def highest_price(chain: Chain) -> int:
    """Return the most per unit of gas that a transaction sent now would offer, in the coin's
    smallest unit."""
    with wrapped("asking for the price of gas"):
        price = _gas_price(chain)
    return int(price.get("maxFeePerGas", price.get("gasPrice", 0)))


def _replay_reason(call: Any, signer: Signer, receipt: TxReceipt) -> str:
    """Return the contract's words for a transaction that failed only in its block."""
    try:
        with wrapped("asking why"):
            # The state at the end of the failed block is near to what the transaction met, not equal to it.
            call.call({"from": signer.address}, block_identifier=receipt["blockNumber"])
    except C2DError as error:
        return str(error.details.get("reason", ""))
    return ""


def _nonce_lock(chain: Chain, signer: Signer) -> threading.RLock:
    """Return the lock under which an account's next nonce is read and used up."""
    with _guard:
        return _sending[(chain.chain_id, signer.address)]
