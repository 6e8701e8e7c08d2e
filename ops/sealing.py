"""Signing while serving: the log's key for each transaction, and the file that remembers the newest checkpoint.

What was signed is kept in the log itself, in the transaction that appends. The file `signed` beside it is what
notices a log restored from an old backup; it may lag by `REMEMBER_SECONDS` while the server runs.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from ledger.appending import Sealed
from ledger.checkpoint_store import LogSigner, SignedCheckpoint
from ledger.errors import LedgerError
from ops.checkpointing import newest, remember
from ops.home import Home

REMEMBER_SECONDS: Final = 1
FOLLOW_SECONDS: Final = 1

_LOG: Final = logging.getLogger(__name__)


class Sealing:
    """Gives a batcher the log's key, read anew when its file changes, and remembers what was signed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.settings.keys / "log.json"
        self._signer: LogSigner | None = None
        self._read_at = -1
        self._latest: SignedCheckpoint | None = None
        self._remembered_at = 0
        self._told = False

    def follow(self, stopped: threading.Event) -> None:
        """Sign over what other processes append too, soon after they do, until told to stop."""
        store = self._home.store
        while not stopped.wait(FOLLOW_SECONDS):
            try:
                signed = store.checkpoints.newest()
                if store.head().size > (signed.size if signed else 0) and self._home.settings.witness_policy is None:
                    newest(self._home)
            except (LedgerError, OSError) as error:
                _LOG.error("no checkpoint could be signed: %s", error)

    def signer(self) -> LogSigner | None:
        """Return the key to sign with now; None where it is not kept on this machine."""
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if changed != self._read_at:
            key = self._home.signatory("log").key
            self._signer = LogSigner(key, publish=self._home.settings.witness_policy is None)
            self._read_at = changed
        return self._signer

    def committed(self, sealed: Sealed) -> None:
        """Take note of what a transaction signed."""
        if sealed.unsigned is not None and not self._told:
            _LOG.error("submissions are taken, but no checkpoint can be signed: %s", sealed.unsigned)
        self._told = sealed.unsigned is not None
        if sealed.checkpoint is None:
            return
        self._latest = sealed.checkpoint
        now = self._home.clock()
        if now - self._remembered_at >= REMEMBER_SECONDS * 1_000_000:
            self._remembered_at = now
            self.remember()

    def remember(self) -> None:
        """Write the newest checkpoint to the file now."""
        latest, self._latest = self._latest, None
        if latest is None:
            return
        try:
            remember(self._home, latest)
        except (LedgerError, OSError) as error:
            # What was appended and signed stands; only the guard against old backups is behind.
            _LOG.error("the newest checkpoint was not noted in %s: %s", self._home.settings.signed_path, error)
