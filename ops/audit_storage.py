"""Auditing what storage checkers say of holders: that each was challenged with a root this log really had.

The rules of admission cannot tell, since they know no tree. A checker that made a root up has shown nothing of a
holder, but the log that holds its word is none the worse for it: so this is told, and is no failure.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger.merkle import tree_root
from ledger.payloads import Possession
from ledger.rows import entry_of
from ledger.tables import EVENTS
from ledger.tree import node_reader


@dataclass(frozen=True, slots=True)
class Challenges:
    """How many answers of holders are to roots of this log, and at which positions others are said to be."""

    founded: int
    unfounded: tuple[int, ...]


def check_challenges(connection: Connection, size: int) -> Challenges:
    """Compare the root that each challenge names with the log's own at that size.

    Args:
        size: how many entries to look at; they and the tree are checked already.
    """
    rows = select(EVENTS).where(EVENTS.c.event_type == "storage_attestation", EVENTS.c.position < size)
    founded, unfounded = 0, list[int]()
    for row in connection.execute(rows.order_by(EVENTS.c.position)):
        possession = entry_of(row.position, row.received_at, row.event).event.payload.possession
        if not isinstance(possession, Possession):
            continue
        root = tree_root(possession.tree_size, node_reader(connection))
        if root.hex() == possession.checkpoint_root:
            founded += 1
        else:
            unfounded.append(row.position)
    return Challenges(founded, tuple(unfounded))
