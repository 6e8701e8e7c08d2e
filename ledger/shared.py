"""What the logs of one registry share: its keys, what was proven of them, and its policies.

These events are the same bytes in each of its logs, in the same order, though at other positions: a verdict in one log
rests on nothing that stands in another. They are made in the first log alone, so that there is one order of them;
the others copy them from there (`Store.copy_shared`). An anchor of a checkpoint is about one log and is never copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import ForeignLogError, LogCorruptedError
from ledger.events import Entry, Event
from ledger.registry import Registry


def is_shared(event: Event, registry: Registry) -> bool:
    """Say whether an event belongs into every log of a registry."""
    return event.subject == registry.subject and event.event_type != "timestamp_anchor"


def check_taken_here(event: Event, registry: Registry) -> None:
    """Refuse an event that a log may only copy from the registry's first log; raises ForeignLogError."""
    if registry.label and is_shared(event, registry):
        raise ForeignLogError(
            f"keys and policies of {registry.name} are taken by its first log, and come to this one from there",
            place="subject_pith_number",
            cure="hand it in at the registry's first log",
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What a log has of the events that it shares with the registry's first log.

    `held` of them are here. `behind` are those past the last that is here, in order. `left_out` stand before that one
    and are missing for good: they could not be taken any more when they came, such as a rotation by a key that had
    expired meanwhile.
    """

    held: int
    behind: tuple[Entry, ...]
    left_out: tuple[Entry, ...]


def standing(first: Sequence[Entry], other: Iterable[Entry], registry: Registry) -> Standing:
    """Compare what a log has of the shared events with what the first log has.

    Args:
        first: entries of the first log's stream, in order.
        other: entries of the other log's stream, in order.
        registry: the one whose stream that is.

    Raises:
        LogCorruptedError: the other log has a shared event that the first has not, or another order of them.
    """
    shared = [entry for entry in first if is_shared(entry.event, registry)]
    order = {entry.event.event_id: at for at, entry in enumerate(shared)}
    last, held = -1, set[int]()
    for entry in other:
        if not is_shared(entry.event, registry):
            continue
        at = order.get(entry.event.event_id)
        if at is None or at <= last:
            what = "that the first log has not" if at is None else "in another order than the first log"
            raise LogCorruptedError(
                f"the log has a key or policy event {what}",
                place=f"position {entry.position}, {entry.event.id_text}",
                cure="find out who wrote to it, and make it anew from a copy that agrees with the first log",
            )
        last = at
        held.add(at)
    left_out = tuple(entry for at, entry in enumerate(shared[:last]) if at not in held)
    return Standing(len(held), tuple(shared[last + 1 :]), left_out)
