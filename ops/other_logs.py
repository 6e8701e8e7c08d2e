"""The registry's other logs as they stand on this machine, opened for looking papers up in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from sqlalchemy import select

from api.reading.other_logs import Opened, OtherLog, OtherLogs
from ledger.database import Database, open_read_only
from ledger.errors import UsageError
from ledger.log_keys import log_origin
from ledger.store import Store
from ops.home import Home
from ops.logs_file import LOGS_FILE, read_logs
from ops.logs_file import OtherLog as Listed
from ops.settings import Settings
from ops.shared_logs import opened_store, settings_of
from projections.runner import LOG, root_of


@contextmanager
def other_logs(home: Home) -> Iterator[OtherLogs]:
    """Give a server the registry's other logs, as `logs.toml` lists them at each moment; close them at the end."""
    listed = _Listed(home)
    try:
        yield OtherLogs(listed.now)
    finally:
        listed.close()


class _Listed:
    """The other logs by the file, which is read anew when it changes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.settings.data / LOGS_FILE
        self._found: tuple[int, tuple[OtherLog, ...]] = (0, ())
        self._lock = threading.Lock()

    def now(self) -> Sequence[OtherLog]:
        with self._lock:  # two that saw the same change would open every log twice, and close one of them
            try:
                changed = self._path.stat().st_mtime_ns
            except FileNotFoundError:
                changed = 0
            if changed != self._found[0]:
                others = read_logs(self._home.settings.data).others if changed else ()
                self.close()
                self._found = changed, tuple(map(self._made, others))
            return self._found[1]

    def close(self) -> None:
        for known in self._found[1]:
            known.close()

    def _made(self, other: Listed) -> OtherLog:
        name, settings = self._home.store.registry_name, self._home.settings

        def open() -> Opened:
            with ExitStack() as opening:
                store = opening.enter_context(opened_store(settings, other, name))
                projections = opening.enter_context(closing(_projections(settings_of(settings, other), store)))
                return Opened(store, projections, opening.pop_all().close)

        return OtherLog(log_origin(name, other.label), other.address, open)


def _projections(settings: Settings, store: Store) -> Database:
    """Open the projections of another log, which whoever works on that log keeps; raises UsageError, StoreError."""
    path = settings.projections_path
    if not path.exists():
        raise UsageError("its papers were never read here", place=str(path), cure="run `pith serve` for that log")
    database = open_read_only(path)
    try:
        with database.read() as connection:
            if connection.execute(select(LOG.c.root)).scalar() != root_of(store):
                raise UsageError("these are the projections of another log", place=str(path))
    except BaseException:
        database.close()
        raise
    return database
