"""One range of a log, checked apart from all others.

A range begins at a tile's edge (C2SP tlog-tiles: 256 leaves) and ends at one, but for the last. What it can decide by
itself is decided by `verify_range`: a pure function of the range's entries, of what the registry's stream says and of
what the log holds about the range's papers. So any worker may do it, or two, or one again after another was killed.
What no range can decide alone is decided from their results, taken in order (`ledger.joined`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ledger.errors import (
    LedgerError,
    LogCorruptedError,
    ProjectionError,
    StoreError,
    SubmissionError,
    VerificationError,
)
from ledger.events import Entry
from ledger.merkle import Frontier
from ledger.payloads import KeyRegistered, KeyRotated
from ledger.registry import Registry
from ledger.rules import Targets
from ledger.signatures import signatures_of
from ledger.tiles import WIDTH
from ledger.verdicts import check
from ledger.verification import Growing, Head, verify_entries

TILES: Final = 4
"""How many tiles a range has: few enough for many to be under way at once, enough to make each worth its way."""

Checks = Literal["all", "signers", "nothing"]
"""What is checked of entries beyond their bytes: every signature and rule; the signatures of all but the registry; or
nothing."""


@dataclass(frozen=True, slots=True)
class Range:
    """The entries from `start`, a multiple of 256, up to `stop`, which only ends the last range within a tile."""

    start: int
    stop: int


def ranges(stop: int, tiles: int = TILES) -> Iterator[Range]:
    """Cut the first `stop` entries of a log into ranges of so many tiles."""
    step = tiles * WIDTH
    for start in range(0, stop, step):
        yield Range(start, min(start + step, stop))


@dataclass(frozen=True, slots=True)
class Failure:
    """An error and the position it is about, as plain data: so it crosses the border of a process unharmed.

    `code` says which error it is, and `step` which check failed where it is a VerificationError.
    """

    position: int
    code: str
    step: str
    message: str
    place: str
    cure: str

    @classmethod
    def of(cls, position: int, error: Exception) -> Failure:
        """Take in an error; one that is none of ours says that the entry cannot be judged."""
        if isinstance(error, LedgerError):
            step = error.step if isinstance(error, VerificationError) else ""
            return cls(position, error.code, step, error.message, error.place, error.cure)
        reason = f"it cannot be judged ({type(error).__name__}: {error})"
        return cls(position, VerificationError.code, "rule", reason[:300], f"position {position}", "")

    def error(self) -> LedgerError:
        """Return the error anew."""
        if self.step:
            return VerificationError(self.step, self.message, place=self.place, cure=self.cure)
        kind = next((kind for kind in _KINDS if kind.code == self.code), StoreError)
        return kind(self.message, place=self.place, cure=self.cure)


_KINDS: Final = (LogCorruptedError, ProjectionError)
UNJUDGED: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a value of the wrong kind may come to; anything else is the machine's fault, and no entry's."""

_FAILURES: Final = (VerificationError, SubmissionError, LogCorruptedError, *UNJUDGED)


@dataclass(frozen=True, slots=True)
class Verified:
    """What checking one range gave.

    Args:
        first: when its first entry was received (microseconds), and its event's id as text; None where that entry
            cannot be read.
        last: when the last was.
        tiles: the roots of its whole tiles, in order.
        edges: leaf hashes from the last tile's edge up to each size that was asked for and ends within a tile.
        signatures: how many signatures of others than the registry were checked, where only those are.
        failure: the first check that failed; None where all held.
    """

    range: Range
    first: tuple[int, str] | None
    last: int
    tiles: tuple[bytes, ...]
    edges: Mapping[int, tuple[bytes, ...]]
    signatures: int
    failure: Failure | None


def verify_range(
    within: Range, entries: Sequence[Entry], registry: Registry, targets: Callable[[], Growing], checks: Checks
) -> tuple[int, Failure | None]:
    """Check the entries of a range, all that could be read from its start on; return how many signatures of others
    than the registry were counted, and the first failure.

    Args:
        registry: knows what its stream says below the range, and may know more.
        targets: gives, as often as it is called, what the log holds about the papers of these entries.
    """
    match checks:
        case "all":
            return 0, _first_failure(within, entries, registry, targets)
        case "signers":
            return _verify_signers(entries, registry)
        case "nothing":
            return 0, None


def _first_failure(
    within: Range, entries: Sequence[Entry], registry: Registry, targets: Callable[[], Growing]
) -> Failure | None:
    try:
        verify_entries(entries, registry, targets(), Head(within.start, 0))
    except _FAILURES as error:
        return _found_singly(within, entries, registry, targets()) or Failure.of(within.start, error)
    return None


def _found_singly(within: Range, entries: Sequence[Entry], registry: Registry, targets: Growing) -> Failure | None:
    """Check entries one after the other, where together they failed: of two that fail, the first is named."""
    head, seen = Head(within.start, 0), set[bytes]()
    for entry in entries:
        try:
            if entry.event.event_id in seen:
                raise _failed("position", entry, "the same event stands at an earlier position")
            seen.add(entry.event.event_id)
            head = verify_entries([entry], registry, targets, head)
        except _FAILURES as error:
            return Failure.of(head.size, error)
    return None


def _verify_signers(entries: Sequence[Entry], registry: Registry) -> tuple[int, Failure | None]:
    """Check what others than the registry signed: their events, and the consent of keys that it registered."""
    count = 0
    for entry in entries:
        event = entry.event
        by_registry = event.signer.signer_type == "pith_registry"
        if by_registry and not isinstance(event.payload, KeyRegistered | KeyRotated):
            continue
        try:
            found = signatures_of(event, registry.keys, entry.position)
        except SubmissionError as error:
            return count, Failure.of(entry.position, _failed("key validity", entry, str(error)))
        try:
            for signature in found[1:] if by_registry else found:
                signature.verify()
                count += 1
        except SubmissionError as error:
            return count, Failure.of(entry.position, _failed("signature", entry, str(error)))
    return count, None


def known_below(stream: Iterable[Entry], stop: int, registry: Registry, targets: Targets) -> int:
    """Take a registry's stream below a position into `registry`, up to the first entry that no log may hold.

    Returns the position below which everything is known: that entry's, or `stop`. Each fact is held to the rules before
    it is believed, since a line of keys that vouch for each other in a circle would never end. That each is signed is
    for the range to check in which it stands.
    """
    known = 0
    try:
        for entry in stream:
            known = entry.position
            check(entry, registry, targets)
            registry.add(entry)
            known += 1
    except _FAILURES:
        return known
    return stop


def tile_roots(leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the roots of the whole tiles that leaf hashes fill from a tile's edge on."""
    return tuple(_root_of_tile(leaves[at : at + WIDTH]) for at in range(0, len(leaves) - len(leaves) % WIDTH, WIDTH))


def edges_of(within: Range, leaves: Sequence[bytes], sizes: Collection[int]) -> dict[int, tuple[bytes, ...]]:
    """Return, for each of some tree sizes that ends inside a tile of a range, the leaf hashes from that tile's edge."""
    return {
        size: tuple(leaves[size - size % WIDTH - within.start : size - within.start])
        for size in sizes
        if within.start < size <= within.stop and size % WIDTH
    }


def _root_of_tile(leaves: Sequence[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def _failed(step: str, entry: Entry, reason: str) -> VerificationError:
    return VerificationError(step, reason, place=f"position {entry.position}, {entry.event.id_text}", cure="")
