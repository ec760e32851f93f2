"""Which addresses a box takes, and which it leaves alone."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.errors import EnvironmentProblem
from sandbox.clusters.native.host.address_ranges import AddressRanges, candidate_blocks, choose_ranges


def test_parts_do_not_overlap_and_stay_in_the_block() -> None:
    ranges = AddressRanges(IPv4Network("10.77.0.0/16"))
    parts = [
        ranges.services,
        ranges.pods,
        ranges.unrouted,
        ranges.staging,
        ranges.publishing,
        ranges.uplink,
    ]
    assert all(part.subnet_of(ranges.block) for part in parts)
    assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1 :])


def test_fixed_service_addresses_lie_below_those_given_out() -> None:
    ranges = AddressRanges(IPv4Network("10.77.0.0/16"))
    given_out_from = min(max(16, ranges.services.num_addresses // 16), 256)
    assert given_out_from > 33


@settings(deadline=None)
@given(st.lists(st.sampled_from(candidate_blocks()), max_size=40), st.text(max_size=20))
def test_chosen_block_is_free(taken: list[IPv4Network], seed: str) -> None:
    chosen = choose_ranges(taken, seed).block
    assert not any(chosen.overlaps(other) for other in taken)


def test_same_seed_same_block_and_other_seeds_other_blocks() -> None:
    assert choose_ranges([], "a").block == choose_ranges([], "a").block
    assert len({choose_ranges([], str(number)).block for number in range(20)}) > 10


def test_a_network_that_claims_all_of_ten_is_avoided() -> None:
    assert not choose_ranges([IPv4Network("10.0.0.0/8")], "x").block.overlaps(IPv4Network("10.0.0.0/8"))


def test_no_free_block_is_a_coded_error() -> None:
    everything = [IPv4Network("0.0.0.0/0")]
    with pytest.raises(EnvironmentProblem) as problem:
        choose_ranges(everything, "x")
    assert problem.value.code == "C2D-NO-FREE-RANGE"
    assert problem.value.next_step
