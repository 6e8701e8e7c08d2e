"""Auditing the checkpoints of a log: what was signed, cosigned, published and anchored, against the entries.

The log's own key can sign a wrong root; so each root is recomputed from the entries at that size, and a
signature only says who must answer for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from ledger import notes
from ledger.checkpoints import Opened
from ledger.errors import VerificationError
from ledger.events import leaf_data
from ledger.keys import key_id
from ledger.merkle import Frontier, leaf_hash, tree_root
from ledger.registry import Registry
from ledger.rows import entries_of_subject
from ledger.tables import CHECKPOINTS, COSIGNATURES, EVENTS, PUBLICATIONS
from ledger.tree import node_reader
from ops.anchored import LIE_CURE, check_anchored
from ops.audit_log import PAGE, Entries
from ops.audit_steps import Advance, checking

SKEW: Final = 300 * 1_000_000
"""How far, in microseconds, the clock that signed may be ahead of the auditor's."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What was found: counts, the greatest published size (0 for none), and how many a later revocation voids."""

    count: int
    newest: int
    published: int
    cosignatures: int
    anchored: int
    voided: int


def count_checkpoints(connection: Connection) -> int:
    """Return how many checkpoints were signed."""
    with checking("checkpoints", "checkpoints"):
        return int(connection.execute(select(func.count()).select_from(CHECKPOINTS)).scalar_one())


def check_checkpoints(connection: Connection, entries: Entries, now: int, advance: Advance) -> Checkpoints:
    """Check every signed checkpoint, each cosignature under one, each publication and each anchored note.

    Args:
        entries: of this connection, checked, as is the tree.
        now: microseconds since 1970.

    Raises:
        VerificationError: step `checkpoints`, `checkpoint` (the note) or `key validity`, with the size.
    """
    growing = _Growing(connection)
    count = newest = voided = cosignatures = signed_at = 0
    for row in connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size)):
        with checking("checkpoints", f"checkpoint of {row.size} entries"):
            if not 0 < row.size <= entries.size:
                raise VerificationError("checkpoints", f"the log has {entries.size} entries")
            root, received_at = growing.to(row.size)
            opened = _opened(row, root, received_at, entries.registry)
            if row.signed_at < (least := max(signed_at, received_at)):
                raise VerificationError("checkpoints", f"signed_at {row.signed_at} is before what it follows, {least}")
            if row.signed_at > now + SKEW:
                raise VerificationError("checkpoints", f"signed_at {row.signed_at} is in the future: it is {now}")
            cosignatures += _check_cosignatures(connection, row.size, opened.note.text)
            keys = entries.registry.keys
            voided += all(keys.is_cut(key_id(key.public_key), row.size - 1, received_at) for key in opened.signers)
        count, newest, signed_at = count + 1, row.size, row.signed_at
        advance(1)
    with checking("checkpoints"):
        _check_no_more(connection)
        published = connection.execute(select(func.max(PUBLICATIONS.c.size))).scalar() or 0
    stream = entries_of_subject(connection, entries.registry.subject, 0, entries.size)
    anchored = check_anchored(entries.registry, stream, lambda size: tree_root(size, node_reader(connection)))
    return Checkpoints(count, newest, published, cosignatures, anchored, voided)


def _opened(row: Row[Any], root: bytes, received_at: int, registry: Registry) -> Opened:
    # Who may sign is decided by what stood before: a key revoked since for an earlier time has signed all the same.
    opened = registry.open_checkpoint(row.note, known_at=received_at, before=row.size)
    stated = opened.checkpoint
    if stated.size != row.size:
        raise VerificationError("checkpoints", f"its note states {stated.size} entries")
    if stated.root != root:
        message = f"its note states the root {stated.root.hex()}, the entries give {root.hex()}"
        raise VerificationError("checkpoints", message, cure=LIE_CURE)
    if row.root != root:
        raise VerificationError("checkpoints", f"its root is kept as {row.root.hex()}, the entries give {root.hex()}")
    return opened


class _Growing:
    """The tree as it grew: leaf hashes are taken in from the entries' bytes, once, in their order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frontier = Frontier()
        self._received_at = 0

    def to(self, size: int) -> tuple[bytes, int]:
        """Return the root over the first `size` entries, no fewer than before, and when the last was received."""
        for start in range(self._frontier.size, size, PAGE):
            self._frontier.extend(self._leaves(start, min(start + PAGE, size)))
        return self._frontier.root(), self._received_at

    def _leaves(self, start: int, stop: int) -> Iterator[bytes]:
        columns = select(EVENTS.c.received_at, EVENTS.c.event).order_by(EVENTS.c.position)
        page = columns.where(EVENTS.c.position >= start, EVENTS.c.position < stop)
        for received_at, event in self._connection.execute(page):
            self._received_at = received_at
            yield leaf_hash(leaf_data(received_at, event))


def _check_cosignatures(connection: Connection, size: int, text: str) -> int:
    rows = connection.execute(select(COSIGNATURES).where(COSIGNATURES.c.size == size)).all()
    for row in rows:
        with checking("checkpoints", f"checkpoint of {size} entries, cosignature by {row.verifier[:200]}"):
            note, _ = notes.open_note(f"{text}\n{row.line}".encode(), [notes.parse_verifier(row.verifier)])
            if len(note.signatures) != 1:
                raise VerificationError("checkpoints", f"{len(note.signatures)} signature lines are kept as one")
    return len(rows)


def _check_no_more(connection: Connection) -> None:
    signed = select(CHECKPOINTS.c.size)
    for table, name in ((COSIGNATURES, "a cosignature"), (PUBLICATIONS, "a publication")):
        stray = select(table.c.size).where(table.c.size.not_in(signed)).limit(1)
        found = connection.execute(stray).scalar()
        if found is not None:
            raise VerificationError(
                "checkpoints", f"{name} belongs to no checkpoint", place=f"{table.name}, size {found}"
            )
