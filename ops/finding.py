"""Finding papers in any of a registry's logs, as commands do: each log is a data folder on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from ledger.errors import AmbiguousError, LedgerError, NotFoundError, OtherLogError, UsageError
from ledger.log_keys import log_origin
from ops.home import Home, open_home
from ops.logs_file import OtherLog, read_logs
from ops.shared_logs import opened_store, settings_of
from projections import queries
from projections.queries import Hit, Named
from projections.several import meant


@contextmanager
def found_anywhere(home: Home, name: str) -> Iterator[tuple[Home, Named]]:
    """Find the paper that a name means in any of a registry's logs, and give it with the folder that holds it.

    Papers of the logs that are asked are first read up to their ends.

    Raises:
        NotFoundError, AmbiguousError: it means none, or several.
        OtherLogError: none is known here, and another log cannot be read.
    """
    home.catch_up()
    with ExitStack() as opened:
        others, unread = _opened_homes(home, opened) if not _is_here(home, name) else ([], [])
        found: list[tuple[Home, Named]] = []
        ambiguous = []
        for each in (home, *others):
            try:
                found.append((each, queries.resolve(each.projections, name)))
            except AmbiguousError as error:
                ambiguous.append(error)
            except NotFoundError:
                continue
        if unread and not found and not ambiguous:
            raise unread[0]
        yield meant(name, found, ambiguous)


def searched_anywhere(home: Home, words: str, limit: int) -> tuple[list[Hit], list[OtherLogError]]:
    """Search all of a registry's logs; return the hits, those of the log here first, and why others were left out."""
    home.catch_up()
    hits = queries.search(home.projections, words, limit)
    with ExitStack() as opened:
        others, unread = _opened_homes(home, opened)
        for other in others:
            hits += queries.search(other.projections, words, limit)
    first = {hit.subject: hit for hit in reversed(hits)}
    return [first[subject] for subject in dict.fromkeys(hit.subject for hit in hits)][:limit], unread


def held_elsewhere(home: Home, subjects: Sequence[str]) -> dict[str, str]:
    """Return, of those of some papers whose record is in another log of the registry, that log's origin.

    Raises:
        OtherLogError: another log cannot be read, so that nobody can tell.
    """
    held: dict[str, str] = {}
    for other in read_logs(home.settings.data).others if subjects else ():
        try:
            with opened_store(home.settings, other, home.store.registry_name) as store:
                known = store.of_subjects(subjects, store.head().size)
        except LedgerError as error:
            raise _unread(home, other, error) from error
        held |= {subject: log_origin(home.store.registry_name, other.label) for subject in subjects if known[subject]}
    return held


def _is_here(home: Home, name: str) -> bool:
    if not queries.is_whole(name):
        return False
    try:
        queries.resolve(home.projections, name)
    except NotFoundError:
        return False
    return True


def _opened_homes(home: Home, opened: ExitStack) -> tuple[list[Home], list[OtherLogError]]:
    """Open the other logs' folders, read up to their ends; return also why those that cannot be opened could not."""
    homes, unread = list[Home](), list[OtherLogError]()
    for other in read_logs(home.settings.data).others:
        try:
            found = opened.enter_context(closing(open_home(settings_of(home.settings, other), home.clock, home.random)))
            if (found.store.registry_name, found.store.label) != (home.store.registry_name, other.label):
                raise UsageError(f"it is not the log {other.label!r}", place=str(other.data))
            found.catch_up()
        except LedgerError as error:
            unread.append(_unread(home, other, error))
        else:
            homes.append(found)
    return homes, unread


def _unread(home: Home, other: OtherLog, error: LedgerError) -> OtherLogError:
    origin = log_origin(home.store.registry_name, other.label)
    cure = "see `pith log list`, and correct logs.toml or restore that log"
    return OtherLogError(f"the log {origin} cannot be read: {error.message}", place=str(other.data), cure=cure)
