"""Publishing: one transaction makes NFT, datatoken and price; the metadata follows as an event."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from c2d_box.assets.crypto.signatures import sign_hash
from c2d_box.chain import Chain, Signer, accounts, events, nfts, orders, publishing
from c2d_box.chain.publishing import DispenserTerms, FixedRateTerms
from c2d_box.errors import C2DError, Refused

ZERO = "0x" + "0" * 40


def test_a_free_asset_has_a_dispenser(chain: Chain, publisher: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", DispenserTerms())
    assert nfts.nft_owner(chain, made.nft) == publisher.address
    assert nfts.is_deployed_nft(chain, made.nft)
    assert nfts.is_deployed_datatoken(chain, made.nft, made.datatoken)
    assert made.exchange_id is None
    offer = orders.offer_for(chain, made.datatoken)
    assert offer is not None and offer.is_free and offer.amount == 0


@pytest.mark.parametrize("template", [1, 2])
def test_a_priced_asset_has_an_exchange(chain: Chain, publisher: Signer, template: int) -> None:
    price = FixedRateTerms(5 * 10**18)
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", price, template=template)
    offer = orders.offer_for(chain, made.datatoken)
    assert offer is not None and not offer.is_free
    assert offer.exchange_id == made.exchange_id
    assert offer.token == chain.addresses.ocean
    assert 5 * 10**18 <= offer.amount <= 5.02 * 10**18


def test_a_changed_price_is_the_next_quote(chain: Chain, publisher: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", FixedRateTerms(10**18))
    assert made.exchange_id
    publishing.set_price(chain, publisher, made.exchange_id, 3 * 10**18)
    offer = orders.offer_for(chain, made.datatoken)
    assert offer is not None and offer.amount >= 3 * 10**18


def test_the_publishing_market_is_readable(chain: Chain, publisher: Signer) -> None:
    market = accounts.from_mnemonic("test " * 11 + "junk", 0).address
    made = publishing.create_asset(chain, publisher, "A", "A", DispenserTerms(), market=market)
    plain = publishing.create_asset(chain, publisher, "A", "A", DispenserTerms())
    assert nfts.publishing_market(chain, made.datatoken) == market
    assert nfts.publishing_market(chain, plain.datatoken) == ""


def test_metadata_events_carry_what_was_written(chain: Chain, publisher: Signer, provider: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", DispenserTerms())
    digest = "0x" + "1f" * 32
    validator = sign_hash(provider.key, bytes.fromhex(digest[2:]))
    proof = {"publicKey": provider.address, "v": validator.v, "r": [validator.r], "s": [validator.s]}
    before = chain.latest_block()
    first = publishing.set_metadata(
        chain, publisher, made.nft, 0, "http://provider", 2, b"sealed", digest, [proof]
    )
    second = publishing.set_metadata(chain, publisher, made.nft, 0, "http://provider", 2, b"again", digest)
    publishing.set_state(chain, publisher, made.nft, nfts.NftState.REVOKED)
    logs = [e for e in events.metadata_logs(chain, before + 1) if e.address == made.nft]
    names = [e.name for e in logs]
    assert names == ["MetadataCreated", "MetadataValidated", "MetadataUpdated", "MetadataState"]
    created = logs[0]
    assert (created["flags"], created["data"], created["metaDataHash"]) == (b"\x02", b"sealed", digest)
    assert (created.tx, logs[2].tx) == (first, second)
    assert nfts.read_state(chain, made.nft) == nfts.NftState.REVOKED
    assert nfts.read_metadata(chain, made.nft).decryptor_url == "http://provider"


def test_only_updaters_write_metadata_and_the_contract_says_so(
    chain: Chain, publisher: Signer, consumer: Signer
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", DispenserTerms())
    assert not nfts.may_update_metadata(chain, made.nft, consumer.address)
    with pytest.raises(Refused) as refused:
        publishing.set_metadata(chain, consumer, made.nft, 0, "http://p", 0, b"", "0x" + "0" * 64)
    assert refused.value.code == "C2D-CHAIN-REVERTED"
    assert "METADATA" in refused.value.message.upper()


def test_an_account_without_coins_is_told_so(chain: Chain) -> None:
    pauper = accounts.from_key(b"\x07" * 32)
    with pytest.raises(C2DError) as failed:
        publishing.create_asset(chain, pauper, "Cells", "CELLS", DispenserTerms())
    assert failed.value.code == "C2D-CHAIN-FUNDS"


def test_one_account_sends_from_many_threads_at_once(chain: Chain, publisher: Signer) -> None:
    def publish(number: int) -> str:
        return publishing.create_asset(chain, publisher, f"Asset {number}", "A", DispenserTerms()).nft

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(publish, range(12)))
    assert len(set(made)) == 12


def test_the_nft_can_change_hands(chain: Chain, publisher: Signer, consumer: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "CELLS", DispenserTerms())
    publishing.transfer_nft(chain, publisher, made.nft, consumer.address)
    assert nfts.nft_owner(chain, made.nft) == consumer.address
    assert nfts.nft_details(chain, made.nft)["owner"] == consumer.address
