"""A transaction that is sent at most once, however its sender dies."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.chain import accounts, nfts, publishing
from c2d_box.chain.transactions import UnsignedTransaction, send, send_idempotent
from c2d_box.units import ETHER

from .conftest import MNEMONIC


class Death(Exception):
    """The process is gone at this point."""


class Journal:
    """What survives the sender."""

    def __init__(self, dies_after_recording: bool = False) -> None:
        self.known: str | None = None
        self.dies = dies_after_recording

    def record(self, raw: str, replaces: str | None) -> None:
        assert replaces == self.known
        self.known = raw
        if self.dies:
            raise Death


@pytest.fixture
def register() -> Any:
    return accounts.from_mnemonic(MNEMONIC, 9)


def count(chain: Any, signer: Any) -> int:
    return int(chain.web3.eth.get_transaction_count(signer.address))


def mint(chain: Any, signer: Any) -> UnsignedTransaction:
    made = publishing.create_asset(chain, signer, "x", "X", publishing.DispenserTerms())
    return publishing.mint_transaction(made.datatoken, signer.address, ETHER)


def test_dying_between_record_and_sending_sends_it_later_and_once(chain: Any, register: Any) -> None:
    call, journal = mint(chain, register), Journal(dies_after_recording=True)
    before = count(chain, register)
    with pytest.raises(Death):
        send_idempotent(chain, register, call, None, journal.record)
    assert count(chain, register) == before
    first = send_idempotent(chain, register, call, journal.known, journal.record)
    again = send_idempotent(chain, register, call, journal.known, journal.record)
    assert first["transactionHash"] == again["transactionHash"]
    assert count(chain, register) == before + 1
    assert chain.balance_of(register.address, call.address) == ETHER


def test_one_whose_number_was_taken_is_signed_anew(chain: Any, register: Any) -> None:
    call, journal = mint(chain, register), Journal(dies_after_recording=True)
    with pytest.raises(Death):
        send_idempotent(chain, register, call, None, journal.record)
    other = publishing.mint_transaction(call.address, "0x" + "12" * 20, 5)
    send(chain, register, other.contract, other.address, other.function, *other.arguments)
    journal.dies = False
    lost = journal.known
    send_idempotent(chain, register, call, journal.known, journal.record)
    assert journal.known != lost
    assert chain.balance_of(register.address, call.address) == ETHER


def test_handing_the_nft_over_takes_every_role_away(chain: Any, register: Any, consumer: Any) -> None:
    made = publishing.create_asset(chain, register, "x", "X", publishing.DispenserTerms())
    stock = publishing.mint_transaction(made.datatoken, chain.addresses.dispenser, 3 * ETHER)
    send_idempotent(chain, register, stock, None, Journal().record)
    assert nfts.holds_roles(chain, made.nft, made.datatoken, register.address)
    send_idempotent(
        chain,
        register,
        publishing.transfer_transaction(register, made.nft, consumer.address),
        None,
        Journal().record,
    )
    assert not nfts.holds_roles(chain, made.nft, made.datatoken, register.address)
    assert nfts.nft_owner(chain, made.nft) == consumer.address


def test_an_asset_without_a_price_is_for_nobody_until_its_owner_mints(chain: Any, register: Any) -> None:
    from c2d_box.chain import orders

    made = publishing.create_asset(chain, register, "x", "X", None)
    assert made.exchange_id is None
    assert orders.offer_for(chain, made.datatoken) is None
