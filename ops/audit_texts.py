"""Auditing the private texts beside a log: each hashes to its commitment, and none is left that was redacted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from ledger.commitments import Disclosure, check_disclosures
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.tables import DISCLOSURES, EVENTS, key_of_id
from ops.audit_steps import checking


def check_texts(connection: Connection, page: Sequence[Entry]) -> int:
    """Check the texts of neighbouring entries against their commitments; return how many there are.

    Raises:
        VerificationError: step `texts`, with the text's place.
    """
    if not page:
        return 0
    start, stop = page[0].position, page[-1].position + 1
    rows = select(DISCLOSURES).where(DISCLOSURES.c.position >= start, DISCLOSURES.c.position < stop)
    count = 0
    for row in connection.execute(rows.order_by(DISCLOSURES.c.position, DISCLOSURES.c.path)):
        event = page[row.position - start].event
        with checking("texts", f"position {row.position}"):
            check_disclosures(event.event_type, event.value["payload"], {row.path: Disclosure(row.salt, row.text)})
        count += 1
    for entry in page:
        if entry.event.event_type == "moderation_decision" and entry.event.payload.decision == "redacted":
            _check_redacted(connection, entry)
    return count


def check_no_more_texts(connection: Connection, size: int) -> None:
    """Check that no text belongs to a position that the log does not have; raises as `check_texts` does."""
    outside = (DISCLOSURES.c.position < 0) | (DISCLOSURES.c.position >= size)
    if found := connection.execute(select(DISCLOSURES.c.position, DISCLOSURES.c.path).where(outside).limit(1)).first():
        raise VerificationError(
            "texts",
            "a text belongs to no entry",
            place=f"position {found.position}, disclosures.{found.path}",
        )


def _check_redacted(connection: Connection, decision: Entry) -> None:
    event_id = bytes.fromhex(decision.event.target[7:])
    redacted = (EVENTS.c.event_key == key_of_id(event_id)) & (EVENTS.c.event_id == event_id)
    left = select(DISCLOSURES.c.position, DISCLOSURES.c.path).join(EVENTS, EVENTS.c.position == DISCLOSURES.c.position)
    if found := connection.execute(left.where(redacted).limit(1)).first():
        raise VerificationError(
            "texts",
            f"a text is left though position {decision.position} redacted it",
            place=f"position {found.position}, disclosures.{found.path}",
            cure="delete this row of `disclosures`, and see how it came back",
        )
