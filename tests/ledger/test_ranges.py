"""Ranges: each checked apart, all put together again, and the first error of the log is the one that is named."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, LogCorruptedError, ProjectionError, VerificationError
from ledger.events import Entry
from ledger.joined import Joined
from ledger.merkle import Frontier, leaf_hash
from ledger.proofs.sparse import SparseTargets
from ledger.ranges import (
    Checks,
    Failure,
    Range,
    Verified,
    edges_of,
    known_below,
    ranges,
    tile_roots,
    verify_range,
)
from ledger.registry import Registry
from tests.builders import REGISTRY, contributor
from tests.forgeries import with_signature
from tests.logs import Log

LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(3_000)]


def verified(within: Range, sizes: Sequence[int] = (), first: int = 0, last: int = 0) -> Verified:
    leaves = LEAVES[within.start : within.stop]
    return Verified(within, (first, "sha256:first"), last, tile_roots(leaves), edges_of(within, leaves, sizes), 0, None)


def whole(size: int) -> Frontier:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    return frontier


# Cutting and joining.


@given(stop=st.integers(0, 3_000), tiles=st.integers(1, 5))
def test_ranges_cover_a_log_once_and_are_cut_at_tiles(stop: int, tiles: int) -> None:
    found = list(ranges(stop, tiles))
    assert [at for within in found for at in range(within.start, within.stop)] == list(range(stop))
    assert all(within.start % 256 == 0 for within in found)


@given(sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=4), tiles=st.integers(1, 5))
def test_the_joined_tree_is_the_one_that_grew_leaf_by_leaf(sizes: list[int], tiles: int) -> None:
    joined = Joined(sizes)
    for within in ranges(max(sizes), tiles):
        joined.add(verified(within, sizes))
    assert [joined.frontier(size).to_bytes() for size in sizes] == [whole(size).to_bytes() for size in sizes]


def test_ranges_are_joined_in_their_order_only() -> None:
    joined = Joined([])
    with pytest.raises(ValueError, match="comes next"):
        joined.add(verified(Range(256, 512)))


def test_time_that_falls_between_two_ranges_is_named_at_the_later() -> None:
    joined = Joined([])
    joined.add(verified(Range(0, 256), last=10))
    with pytest.raises(VerificationError) as caught:
        joined.add(verified(Range(256, 512), first=9, last=20))
    assert (caught.value.step, caught.value.place) == ("time", "position 256, sha256:first")


def test_time_that_stays_between_two_ranges_holds() -> None:
    joined = Joined([])
    joined.add(verified(Range(0, 256), last=10))
    joined.add(verified(Range(256, 300), first=10, last=10))
    assert (joined.size, joined.received_at) == (300, 10)


@pytest.mark.parametrize(
    "error",
    [
        VerificationError("signature", "it does not hold", place="position 7", cure="look"),
        LogCorruptedError("the entry at position 7 is damaged", place="here"),
        ProjectionError("a paper cannot be projected", place="pith:2026:X"),
    ],
)
def test_a_failure_crosses_to_another_process_unchanged(error: LedgerError) -> None:
    failure = pickle.loads(pickle.dumps(Failure.of(7, error)))
    assert type(failure.error()) is type(error) and failure.error().facts() == error.facts()


# One range.


def checked(log: Log, entries: Sequence[Entry], checks: Checks = "all", start: int = 0) -> Failure | None:
    """Check the last entries of a log as a range from `start` on, by what stands before them."""
    registry, targets = Registry(REGISTRY), SparseTargets()
    for entry in log.store.entries(0, start):
        registry.add(entry)
        targets.add(entry)
    known_below([*entries], 1 << 60, registry, SparseTargets())

    def fresh() -> SparseTargets:
        found = SparseTargets()
        for entry in log.store.entries(0, start):
            found.add(entry)
        return found

    return verify_range(Range(start, start + len(entries)), entries, registry, fresh, checks)[1]


def spoilt(entries: list[Entry], at: int) -> None:
    """Replace the signature of an entry by one that does not hold."""
    entry = entries[at]
    entries[at] = Entry(entry.position, entry.received_at, with_signature(entry.event, bytes(64)))


@pytest.fixture
def entries(log: Log) -> list[Entry]:
    """The entries of a log, six citations at its end."""
    log.admit(*(log.world.citation(citing=f"arxiv:2606.1000{at}") for at in range(6)))
    return list(log.store.entries())


def test_a_good_range_has_no_failure(log: Log, entries: list[Entry]) -> None:
    assert checked(log, entries) is None


def test_of_two_failures_of_a_kind_the_first_is_named(log: Log, entries: list[Entry]) -> None:
    spoilt(entries, -2)
    spoilt(entries, -5)
    found = checked(log, entries)
    assert found is not None and (found.position, found.step) == (len(entries) - 5, "signature")


def test_a_signature_that_fails_is_named_before_a_rule_that_a_later_entry_breaks(
    log: Log, entries: list[Entry]
) -> None:
    stranger = log.world.citation(contributor("stranger"))
    entries[-1] = Entry(entries[-1].position, entries[-1].received_at, stranger)
    spoilt(entries, -4)
    found = checked(log, entries)
    assert found is not None and (found.position, found.step) == (len(entries) - 4, "signature")


def test_a_rule_that_is_broken_is_named_before_a_later_signature_that_fails(log: Log, entries: list[Entry]) -> None:
    stranger = log.world.citation(contributor("stranger"))
    entries[-4] = Entry(entries[-4].position, entries[-4].received_at, stranger)
    spoilt(entries, -1)
    found = checked(log, entries)
    assert found is not None and (found.position, found.step) == (len(entries) - 4, "key validity")


def test_the_same_event_twice_in_a_range_is_named_at_its_second_place(log: Log, entries: list[Entry]) -> None:
    entries[-1] = Entry(entries[-1].position, entries[-1].received_at, entries[-3].event)
    found = checked(log, entries)
    assert found is not None and (found.position, found.step) == (len(entries) - 1, "position")


def test_time_before_1970_fails(log: Log, entries: list[Entry]) -> None:
    entries[0] = Entry(0, -1, entries[0].event)
    found = checked(log, entries)
    assert found is not None and (found.position, found.step) == (0, "time")


def test_signers_finds_a_contributors_signature_that_fails(log: Log, entries: list[Entry]) -> None:
    spoilt(entries, -3)
    found = checked(log, entries, "signers")
    assert found is not None and (found.position, found.step) == (len(entries) - 3, "signature")


def test_signers_leaves_the_registrys_own_signature_to_its_checkpoint(log: Log, entries: list[Entry]) -> None:
    assert entries[-7].event.event_type == "record_created"
    spoilt(entries, -7)
    assert checked(log, entries, "signers") is None


def test_signers_still_asks_for_the_consent_of_a_key_that_the_registry_registers(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    consenting = contributor("consenting")
    good = log.world.registration(consenting, "storage_checker", by=log.world.registry)
    forged = log.world.registration(
        consenting, "storage_checker", by=log.world.registry, stated_by=contributor("other").key
    )
    size = log.store.head().size
    outcomes = [checked(log, [Entry(size, log.clock(), event)], "signers", start=size) for event in (good, forged)]
    assert [found and found.step for found in outcomes] == [None, "signature"]


def test_a_stream_is_believed_up_to_its_first_false_fact(log: Log) -> None:
    stream = [entry for entry in log.store.entries() if entry.event.subject == log.world.subject]
    size = log.store.head().size
    usurper = log.world.revocation(log.world.registry, by=contributor("usurper"))
    registry = Registry(REGISTRY)
    found = known_below([*stream, Entry(size, log.clock(), usurper)], size + 1, registry, SparseTargets())
    assert found == size
    assert registry.keys.is_cut(log.world.registry.key.key_id, size + 5, log.clock()) is False
