"""Auditing a log by its entries alone: what they are, and that head and tree follow from them.

Everything is asked of one connection, so that it is one state of the log, however long it takes. Nothing
the log says of itself is used before it is recomputed: not its head, not its name, not a node of its tree.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from ledger.errors import VerificationError
from ledger.joined import Joined
from ledger.merkle import EMPTY_ROOT, Frontier
from ledger.proofs.sparse import SparseTargets
from ledger.ranges import known_below, ranges
from ledger.registry import Registry
from ledger.rows import check_unique, checked_entry_of, entries_of_subject
from ledger.tables import EVENTS, HEAD, TILES
from ledger.tree_check import check_growth, check_no_more_tiles
from ops.audit_steps import Advance, checking
from ops.audit_texts import check_no_more_texts
from ops.replaying.engines import Engine
from ops.replaying.work import Job

PAGE: Final = 1_000
_STREAM: Final = "pith:registry:"


@dataclass(frozen=True, slots=True)
class Entries:
    """What the entries of a log amount to: its registry's stream, its tree, its last time (microseconds)."""

    registry: Registry
    begins_with: str
    frontier: Frontier
    received_at: int
    texts: int
    """How many private texts are kept beside the log."""

    @property
    def size(self) -> int:
        return self.frontier.size


def check_entries(connection: Connection, size: int, engine: Engine, advance: Advance) -> Entries:
    """Check every entry as on its first day, and the private texts beside it.

    Args:
        size: how many entries there are, as `count_entries` gives it.
        engine: goes over ranges of them, on this connection's database.

    Raises:
        VerificationError: step `entries` (not canonical, look-up columns that do not belong to it),
            `position`, `time`, `key validity`, `rule`, `signature` or `texts`, at the first position that failed.
    """
    with checking("entries", "events"):
        check_unique(connection)
    with checking("entries", "position 0"):
        first = checked_entry_of(connection.execute(select(EVENTS).where(EVENTS.c.position == 0)).one()).event
        if not first.subject.startswith(_STREAM):
            raise VerificationError("entries", "the log does not begin with a registry's own key")
    # What this says is held by every checkpoint's origin, and by each record that was made for one log alone.
    label = connection.execute(select(HEAD.c.log_label).limit(1)).scalar() or ""
    registry = Registry(first.subject.removeprefix(_STREAM), label)
    with checking("entries", "events"):
        stream = entries_of_subject(connection, registry.subject, 0, size)
        facts = known_below(stream, size, registry, SparseTargets())
        name = registry.name, registry.label
        job = Job(secrets.token_hex(8), name, "all", size, facts, (size,), texts=True)
        joined, texts = Joined(job.sizes), 0
        for done in engine.run(job, ranges(size)):
            within = done.verified.range
            with checking("entries", f"positions {within.start} to {within.stop - 1}"):
                joined.add(done.verified)
            texts += done.texts
            advance(within.stop - within.start)
        if facts < size:
            raise VerificationError("rule", "no log may hold this entry", place=f"position {facts}")
    check_no_more_texts(connection, size)
    return Entries(registry, first.id_text, joined.frontier(size), joined.received_at, texts)


def count_entries(connection: Connection) -> int:
    """Return how many entries there are.

    Raises:
        VerificationError: step `entries`; there are none, or their positions have a gap.
    """
    with checking("entries", "events"):
        count, first, last = connection.execute(
            select(func.count(), func.min(EVENTS.c.position), func.max(EVENTS.c.position))
        ).one()
        if not count:
            raise VerificationError("entries", "the log has no entries, not even its root")
        if first != 0:
            raise VerificationError("entries", f"the entries begin at position {first}, not at 0")
        if last != count - 1:
            follows = EVENTS.alias()
            gap = select(func.min(EVENTS.c.position)).where(
                ~select(follows.c.position).where(follows.c.position == EVENTS.c.position + 1).exists()
            )
            missing = connection.execute(gap).scalar_one() + 1
            raise VerificationError("entries", "the entry is missing", place=f"position {missing}")
    return int(count)


def check_head(connection: Connection, entries: Entries) -> None:
    """Check that the log has one head, which names its registry and its size.

    Raises:
        VerificationError: step `head`, with the column that differs.
    """
    _check_columns(connection, {"id": 1, "registry_name": entries.registry.name, "size": entries.size})


def check_edge(connection: Connection, entries: Entries) -> None:
    """Check that the head keeps the tree's right edge and the last entry's time; raises as `check_head` does.

    This comes after the tree: what differs here alone is the head's fault, and no entry's.
    """
    _check_columns(connection, {"received_at": entries.received_at, "frontier": entries.frontier.to_bytes()})


def _check_columns(connection: Connection, expected: Mapping[str, object]) -> None:
    with checking("head", "log_head"):
        rows = connection.execute(select(HEAD)).mappings().all()
        if len(rows) != 1:
            raise VerificationError("head", f"a log has one head, this has {len(rows)}")
        for column, value in expected.items():
            found = rows[0][column]
            if found != value:
                message = f"{column} is {_shown(found)}, the entries give {_shown(value)}"
                raise VerificationError("head", message, place=f"log_head.{column}")


def check_tree(connection: Connection, entries: Entries, advance: Advance) -> int:
    """Check every stored tile byte for byte; return how many there are.

    Raises:
        VerificationError: step `tree`, with the tile that differs.
    """
    with checking("tree", "tiles"):
        check_growth(connection, 0, EMPTY_ROOT, entries.size, entries.frontier.root(), advance)
        check_no_more_tiles(connection, entries.size)
        return int(connection.execute(select(func.count()).select_from(TILES)).scalar_one())


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
