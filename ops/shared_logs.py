"""Keeping what the logs of one registry share the same in all of them: its keys and policies.

They are made in the first log and copied to the others from there, each copy at its own position. Copying may be broken
off anywhere and done by several processes at once: the next run goes on where it stopped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Final

from ledger.appending import Appended
from ledger.errors import LedgerError, LogCorruptedError, NotFoundError, UsageError
from ledger.events import Entry
from ledger.log_keys import log_origin
from ledger.registry import Registry
from ledger.shared import is_shared
from ledger.store import Store
from ops.databases import open_log
from ops.home import Home
from ops.logs_file import LOGS_FILE, OtherLog, read_logs
from ops.settings import Settings

PAGE: Final = 500
_WINDOW: Final = 1_024

_LOG: Final = logging.getLogger(__name__)


def settings_of(settings: Settings, other: OtherLog) -> Settings:
    """Return the settings of another log's folder, as they follow from those here.

    A folder with a database file of its own, such as a mirror's, is read from there whatever the log here is in.
    """
    found = replace(settings, data=other.data, label=other.label, base_url=other.address or settings.base_url)
    return replace(found, database_url="", owner_url="") if found.ledger_path.exists() else found


@contextmanager
def opened_store(settings: Settings, other: OtherLog, registry: str) -> Iterator[Store]:
    """Open another log of a registry.

    Args:
        settings: those of the folder here.

    Raises:
        UsageError: there is none at that place, or it is another registry's or another log.
        StoreError: it cannot be read.
    """
    with closing(open_log(settings_of(settings, other))) as database:
        store = Store(database)
        if (store.registry_name, store.label) != (registry, other.label):
            raise UsageError(
                f"it holds {log_origin(store.registry_name, store.label)}, not {log_origin(registry, other.label)}",
                place=str(other.data),
                cure="correct the entry in logs.toml",
            )
        yield store


class Copying:
    """Copies to a log what it shares with its registry's first log; what was copied once is not looked at again."""

    def __init__(self, first: Store, other: Store) -> None:
        self._first = first
        self._other = other
        self._registry = Registry(first.registry_name)
        self._reached: int | None = None

    def copy(self) -> int:
        """Copy what is new; return how many events the other log took.

        What it cannot take any more, such as an event by a key that has expired since, is left out for good.

        Raises:
            LogCorruptedError: the other log has a key or policy event that the first has not.
        """
        size = self._first.head().size
        if self._reached is None:
            self._reached = self._found_again()
        entries = self._first.of_registry(self._reached, size)
        shared = [entry for entry in entries if is_shared(entry.event, self._registry)]
        taken = 0
        for start in range(0, len(shared), PAGE):
            page = shared[start : start + PAGE]
            outcomes = self._other.copy_shared(page)
            for entry, outcome in zip(page, outcomes, strict=True):
                if isinstance(outcome, Appended):
                    taken += outcome.created
                else:
                    _LOG.error("the log %r leaves out %s: %s", self._other.label, entry.event.id_text, outcome)
        self._reached = size
        return taken

    def _found_again(self) -> int:
        """Return the position in the first log behind the last shared event that the other has too."""
        last = self._last_shared()
        if last is None:
            return 0
        try:
            return self._first.find(last.event.event_id).position + 1
        except NotFoundError as error:
            raise LogCorruptedError(
                f"the log {self._other.label!r} has a key or policy event that the first log has not",
                place=f"position {last.position}, {last.event.id_text}",
                cure="see that logs.toml names the right folders, and that the first log is no old backup",
            ) from error

    def _last_shared(self) -> Entry | None:
        stop, window = self._other.head().size, _WINDOW
        while stop > 0:
            start = max(0, stop - window)
            for entry in reversed(self._other.of_registry(start, stop)):
                if is_shared(entry.event, self._registry):
                    return entry
            stop, window = start, window * 4
        return None


class Together:
    """Keeps a registry's logs together as seen from one folder: the first copies to all others, another from the first.

    Databases stay open between two looks. `logs.toml` is read anew when it changes.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._opened = ExitStack()
        self._copying: dict[str, Copying] = {}
        self._read_at = -1

    def close(self) -> None:
        self._copying.clear()
        self._opened.close()

    def copy(self) -> dict[str, LedgerError]:
        """Copy what is new; return what failed, by the label of the log that has not got it."""
        home, failed = self._home, dict[str, LedgerError]()
        if home.settings.followed_path.exists():
            return failed  # a mirror takes what its log has, in that log's order
        path = home.settings.data / LOGS_FILE
        read_at = path.stat().st_mtime_ns if path.exists() else 0
        if read_at != self._read_at:
            self.close()
            self._read_at = read_at
        try:
            logs = read_logs(home.settings.data)
            if home.store.label and logs.first is None:
                cure = 'list it in logs.toml: [[log]] with label = "" and its data folder, or a mirror of it'
                raise UsageError("it is not said where the registry's first log is", place=str(path), cure=cure)
        except UsageError as error:
            return {home.store.label: error}
        for other in [logs.first] if logs.first else logs.others:
            label = home.store.label or other.label
            try:
                if home.store.label or not settings_of(home.settings, other).followed_path.exists():
                    self._copying_of(other).copy()
            except LedgerError as error:
                failed[label] = error
                self._read_at = -1  # opened anew at the next look
        return failed

    def _copying_of(self, other: OtherLog) -> Copying:
        known = self._copying.get(other.label)
        if known is None:
            home = self._home
            store = self._opened.enter_context(opened_store(home.settings, other, home.store.registry_name))
            known = Copying(store, home.store) if home.store.label else Copying(home.store, store)
            self._copying[other.label] = known
        return known

    def follow(
        self, seconds: float, stopped: threading.Event, told: Callable[[Mapping[str, LedgerError]], None]
    ) -> None:
        """Copy again and again until told to stop.

        Args:
            seconds: how long to rest between.
            told: takes what failed each time.
        """
        before: dict[str, str] = {}
        while not stopped.wait(seconds):
            failed = self.copy()
            for label, error in failed.items():
                if before.get(label) != str(error):
                    _LOG.error("the log %r does not get its registry's keys and policies: %s", label, error)
            before = {label: str(error) for label, error in failed.items()}
            told(failed)


def share(home: Home) -> dict[str, LedgerError]:
    """Bring what the logs of a registry share to every one of them that is here; return what failed, by label.

    From the first log to all others; or, called in another's folder, from the first to that one.
    """
    with closing(Together(home)) as together:
        return together.copy()


@contextmanager
def kept_together(home: Home) -> Iterator[None]:
    """Keep a registry's logs together around a command: here before it, where this is not the first, else all after it.

    What fails is said beside the command's own answer, and mended by whatever runs next.
    """
    if not (home.settings.data / LOGS_FILE).exists():
        yield
        return
    if home.store.label:
        _say(share(home))
        yield
        return
    size = home.store.head().size
    try:
        yield
    finally:
        if home.store.head().size != size:
            _say(share(home))


def _say(failed: Mapping[str, LedgerError]) -> None:
    for label, error in failed.items():
        _LOG.error("the log %r does not have its registry's newest keys and policies: %s", label, error)
