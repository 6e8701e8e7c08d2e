"""A range of the log folded: the papers whose record it holds, each judged once and by all that is said of it.

A paper belongs to the range of its first `record_created`; what later ranges say of it is read along. So every paper is
judged exactly once, by whichever process has its range, and what all ranges give together is the state, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.errors import ProjectionError
from ledger.events import Entry
from ledger.ranges import Range
from ledger.record_state import RecordState
from ledger.registry import Registry
from ledger.store import Store
from ledger.subjects import is_number
from projections.judged import Judged, judge
from projections.projectors import PROJECTORS, Projector, Row

Rows = dict[str, list[Row]]
"""The rows of papers, by the table's name."""


def folded(
    store: Store,
    registry: Registry,
    within: Range,
    entries: Iterable[Entry],
    stop: int,
    *,
    admitted: bool = False,
) -> Iterator[Judged]:
    """Yield the papers that belong to a range, judged by everything below a position of the log.

    Args:
        registry: knows what its stream says below `stop`.
        entries: the range's own, up to `stop`.
        admitted: take it that every entry was fit to be appended, as whoever verified them knows.

    Raises:
        ProjectionError: a paper cannot be judged.
        LogCorruptedError: something said of a paper elsewhere in the log is damaged.
    """
    states: dict[str, RecordState] = {}
    created: dict[str, None] = {}
    for entry in entries:
        subject = entry.event.subject
        if is_number(subject):
            state = states.get(subject)
            if state is None:
                state = states[subject] = RecordState(subject)
            state.fold(entry)
            if entry.event.event_type == "record_created":
                created[subject] = None
    for subject, earlier in store.of_subjects(created, within.start).items():
        if any(entry.event.event_type == "record_created" for entry in earlier):
            del created[subject]  # it belongs to that entry's range
        for entry in earlier:
            states[subject].fold(entry)
    for subject, later in store.of_subjects(created, stop, within.stop).items():
        for entry in later:
            states[subject].fold(entry)
    for subject in created:
        if judged := judged_paper(states[subject], registry, stop, admitted=admitted):
            yield judged


def judged_paper(state: RecordState, registry: Registry, before: int, *, admitted: bool = False) -> Judged | None:
    """Judge a paper as `judge` does; raises ProjectionError, whatever goes wrong."""
    try:
        return judge(state, registry, before, admitted=admitted)
    except Exception as error:
        raise _not_projected(state.subject, error) from error


def rows_of(judged: Judged, projectors: Iterable[Projector]) -> Iterator[tuple[str, Row]]:
    """Yield (table's name, row) for everything a paper has in some projections.

    Raises:
        ProjectionError: it cannot be projected.
    """
    try:
        for projector in projectors:
            for table, row in projector.rows(judged):
                yield table.name, row
    except Exception as error:
        # Whatever it is, it must stop this projection by name and touch neither the log nor the cursor.
        raise _not_projected(judged.subject, error) from error


def _not_projected(subject: str, error: Exception) -> ProjectionError:
    return ProjectionError(f"{subject} cannot be projected: {error!r}", place=subject)


def rows_of_all(papers: Iterable[Judged], names: Iterable[str]) -> Rows:
    """Return everything some papers have in some projections, by table; raises as `rows_of` does."""
    projectors = [PROJECTORS[name] for name in names]
    found: Rows = {table.name: [] for projector in projectors for table in projector.tables}
    for judged in papers:
        for name, row in rows_of(judged, projectors):
            found[name].append(row)
    return found
