"""Readiness is the distance to the head, not the fact that somebody answers."""

from __future__ import annotations

from c2d_box.metadata.progress import IndexProgress


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def started() -> tuple[IndexProgress, Clock]:
    clock = Clock()
    progress = IndexProgress(30.0, clock=clock)
    progress.note_head(100, 100)
    progress.is_started = True
    return progress, clock


def test_a_first_sync_is_not_ready_and_says_how_far_it_is() -> None:
    clock = Clock()
    progress = IndexProgress(30.0, clock=clock)
    assert (
        not progress.is_ready and progress.readiness_report()["reason"] == "the chain's head is not known yet"
    )
    progress.note_head(5000, 0)
    progress.note_block(2000)
    clock.now += 7
    assert not progress.is_ready
    assert progress.readiness_report() == {
        "block": 2000,
        "head": 5000,
        "behind": 3000,
        "reason": "block 2000 of 5000 is read, 3000 are missing; the last one came 7 s ago",
    }


def test_a_quiet_chain_stays_ready() -> None:
    progress, clock = started()
    clock.now += 10_000
    assert progress.is_ready and progress.readiness_report() == {"block": 100, "head": 100, "behind": 0}


def test_an_indexer_that_stands_is_not_ready_after_a_while() -> None:
    progress, clock = started()
    progress.note_head(101, 100)
    assert progress.is_ready
    clock.now += 20
    progress.note_failure("blocks cannot be processed (ValueError)")
    progress.note_head(105, 100)
    clock.now += 11
    assert not progress.is_ready
    assert progress.readiness_report()["reason"].endswith("blocks cannot be processed (ValueError)")
    progress.note_head(105, 105)
    assert progress.is_ready


def test_a_node_that_is_away_counts_too() -> None:
    progress, clock = started()
    progress.note_failure("the chain could not be read (C2D-CHAIN-UNREACHABLE)")
    clock.now += 31
    assert not progress.is_ready and "C2D-CHAIN-UNREACHABLE" in progress.readiness_report()["reason"]


def test_confirmations_are_no_distance() -> None:
    progress = IndexProgress(30.0, confirmations=12)
    progress.note_head(100, 88)
    assert progress.blocks_behind == 0
    progress.note_head(101, 88)
    assert progress.blocks_behind == 1
