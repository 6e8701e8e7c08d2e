"""The other logs of the registry whose log is served here: papers are looked for in them too, and answered by them.

A record stands in one log. What this one does not hold is looked for in the others, as they stand on this machine (a
data folder, or a mirror); where one of them has it, the asker is led there, since only there are the proofs that go
with it. A log that cannot be read is said to be so: what is not found elsewhere may be in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from api.problems import InOtherLogError
from ledger.database import Database
from ledger.errors import AmbiguousError, InvalidFieldError, LedgerError, NotFoundError, OtherLogError
from ledger.store import Store
from projections import queries
from projections.queries import Hit, Named
from projections.several import meant

BEHIND_SECONDS: Final = 1.0
"""How long to wait for another log's papers to be read up to its end before it is said that they are not."""

_LOOK_SECONDS: Final = 0.02

T = TypeVar("T")
Lookup = Callable[[Database], Named]
"""Looks a name up in one log's projections; raises NotFoundError, AmbiguousError."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Another log and its projections, for reading, and what closes both."""

    store: Store
    projections: Database
    close: Callable[[], None]


class OtherLog:
    """Another log of the registry, opened when it is first asked for something.

    Args:
        origin: the log's.
        address: where it is served; "" where nobody has said so.
        open: opens it; raises LedgerError.
    """

    def __init__(self, origin: str, address: str, open: Callable[[], Opened]) -> None:
        self.origin = origin
        self.address = address
        self._open = open
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._awaited = 0, 0.0
        """Which size the projections have yet to reach, and until when that is waited for."""

    def ask(self, look: Callable[[Opened], T], *, in_log: bool = False) -> T:
        """Return what a look finds; for worker threads.

        Args:
            in_log: it looks in the log itself, which is never behind.

        Raises:
            NotFoundError, AmbiguousError, InvalidFieldError: what the look raises.
            OtherLogError: the log cannot be read, or the look missed what its projections may not hold yet.
        """
        try:
            opened = self._known()
            try:
                return look(opened)
            except NotFoundError:
                if not in_log and not self._waited_for(opened):
                    return look(opened)
                raise
        except (NotFoundError, AmbiguousError, InvalidFieldError, OtherLogError):
            raise
        except LedgerError as error:
            self.close()
            raise OtherLogError(f"the log {self.origin} cannot be read here now") from error

    def close(self) -> None:
        """Let go of the log; whoever asks next has it opened anew."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def led(self) -> InOtherLogError:
        """Return what leads an asker to this log; raises OtherLogError where its address is not known."""
        if not self.address:
            message = f"this is in the log {self.origin}, and it is not known where that is served"
            raise OtherLogError(message, cure="its operator can give its `address` in logs.toml")
        return InOtherLogError(self.origin, self.address)

    def _known(self) -> Opened:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _waited_for(self, opened: Opened) -> bool:
        """Wait for the projections where they are behind the log; say whether they were not.

        All who ask wait for the same moment: where nobody reads a log's papers any more, a second is waited once, and
        not by each, or a few who ask again and again would keep every thread waiting.
        """
        size, was_behind = opened.store.head().size, False
        while (reached := queries.cursor(opened.projections)) < size:
            now, was_behind = time.monotonic(), True
            if reached >= self._awaited[0]:
                self._awaited = size, now + BEHIND_SECONDS
            elif now > self._awaited[1]:
                raise OtherLogError(f"the papers of the log {self.origin} have not all been read here yet")
            time.sleep(_LOOK_SECONDS)
        return not was_behind


class OtherLogs:
    """All the other logs of the registry; a registry of one log has none.

    Args:
        listed: returns them as they are listed by now; raises LedgerError where that cannot be told.
    """

    def __init__(self, listed: Callable[[], Sequence[OtherLog]] = tuple) -> None:
        self._listed = listed
        self.faults: Mapping[str, str] = {}
        """Which logs, by label, do not have the registry's newest keys and policies, and why."""

    def listed(self) -> Sequence[OtherLog]:
        """Return the other logs; raises OtherLogError where that cannot be told."""
        try:
            return self._listed()
        except LedgerError as error:
            raise OtherLogError("the registry's other logs cannot be told here now") from error

    def resolve(self, name: str, projections: Database, lookup: Lookup) -> tuple[OtherLog | None, Named]:
        """Find the paper that a name means, and the log it is in, None for the one here; for worker threads.

        Args:
            projections: those of the log here.
            lookup: how the name is looked up in each log.

        Raises:
            NotFoundError: no log has such a paper.
            AmbiguousError: the name means several papers.
            OtherLogError: none that could be asked has one, and some could not.
        """
        logs = self.listed()
        if not logs:
            return None, lookup(projections)
        found: list[tuple[OtherLog | None, Named]] = []
        ambiguous: list[AmbiguousError] = []
        unread: OtherLogError | None = None
        for log in (None, *logs):
            try:
                found.append((log, lookup(projections) if log is None else log.ask(lambda at: lookup(at.projections))))
            except AmbiguousError as error:
                ambiguous.append(error)
            except OtherLogError as error:
                unread = unread or error
            except NotFoundError:
                continue
            if log is None and found and queries.is_whole(name):
                return found[0]
        if unread is not None and not found and not ambiguous:
            raise unread
        return meant(name, found, ambiguous)

    def led_to(self, suffix: str) -> InOtherLogError | None:
        """Return what leads to the log that holds the paper with a suffix of 26 characters; None where none does.

        Raises:
            OtherLogError: none that could be asked holds it, and some could not.
        """
        return self._led(lambda opened: _stored(opened, suffix))

    def led_to_event(self, event_id: bytes) -> InOtherLogError | None:
        """Return what leads to the log that holds an event, by its raw id; as `led_to`."""
        return self._led(lambda opened: opened.store.find(event_id), in_log=True)

    def _led(self, look: Callable[[Opened], object], *, in_log: bool = False) -> InOtherLogError | None:
        unread: OtherLogError | None = None
        for log in self.listed():
            try:
                log.ask(look, in_log=in_log)
                return log.led()
            except NotFoundError:
                continue
            except OtherLogError as error:
                unread = unread or error
        if unread is not None:
            raise unread
        return None

    def search(
        self, words: str, hits: Sequence[Hit], limit: int
    ) -> tuple[list[tuple[OtherLog | None, Hit]], list[str]]:
        """Put what other logs find beside what was found here: the first of each, then the second, and so on.

        Returns the hits, each with its log, and the origins of the logs that could not be asked.
        """
        columns: list[list[tuple[OtherLog | None, Hit]]] = [[(None, hit) for hit in hits]]
        unread: list[str] = []
        for log in self.listed():
            try:
                columns.append([(log, hit) for hit in log.ask(lambda at: queries.search(at.projections, words, limit))])
            except OtherLogError:
                unread.append(log.origin)
        ranked = sorted(((rank, at) for at, column in enumerate(columns) for rank in range(len(column))))
        found = {columns[at][rank][1].subject: columns[at][rank] for rank, at in reversed(ranked)}
        ordered = dict.fromkeys(columns[at][rank][1].subject for rank, at in ranked)
        return [found[subject] for subject in ordered][:limit], unread


def _stored(opened: Opened, suffix: str) -> None:
    if queries.stored(opened.projections, suffix) is None:
        raise NotFoundError(f"no paper has the suffix {suffix}")
