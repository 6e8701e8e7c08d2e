"""The registry's own keys while it serves: for signing events, and a checkpoint over each transaction.

What was signed is kept in the log itself, in the transaction that appends. The file `signed` beside it is what
notices a log restored from an old backup; it is written within a second of each commit. Where several machines serve
one log, each writes down what any of them signed: whichever is asked after a restoration must notice it.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from ledger.appending import Sealed
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import LedgerError, LogCorruptedError
from ledger.keys import Role, SecretKey
from ledger.signing import Signatory
from ops.checkpointing import newest, noted, remember
from ops.home import Home

FOLLOW_SECONDS: Final = 0.5

_LOG: Final = logging.getLogger(__name__)


class Held:
    """One of the registry's own keys, read anew when its file changes, as `pith rotate` makes it."""

    def __init__(self, home: Home, role: Role) -> None:
        self._home = home
        self._role: Role = role
        self._path = home.settings.keys / f"{role}.json"
        self._found: Signatory | None = None
        self._read_at = -1

    def signatory(self) -> Signatory:
        """Return the key; raises UsageError where it is not kept here."""
        changed = self._path.stat().st_mtime_ns if self._path.exists() else -1
        if self._found is None or changed != self._read_at:
            self._found = self._home.signatory(self._role)
            self._read_at = changed
        return self._found

    @property
    def is_here(self) -> bool:
        return self._path.exists()


class Sealing:
    """Gives a batcher the log's key, and remembers what was signed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._held = Held(home, "log")
        self._latest: SignedCheckpoint | None = None
        self._halted = False
        self._told = False
        self._noted = noted(home)

    def key(self) -> SecretKey | None:
        """Return the key to sign with now; None where there is none on this machine, or others have to sign too.

        Where witnesses must cosign, nothing is handed out before they have (`pith checkpoint`).
        """
        if self._halted or self._home.settings.witness_policy is not None or not self._held.is_here:
            return None
        if self._home.settings.database_url and self._is_set_back():
            return None
        return self._held.signatory().key

    def _is_set_back(self) -> bool:
        """Say whether a database server that others run now gives an older log than the one that was signed."""
        size = self._home.store.head().size
        if size < self._noted:
            cure = "restore the newest backup, or what a mirror holds (see Operations in the README)"
            error = LogCorruptedError(f"{self._noted} entries were signed, and this log has {size}", cure=cure)
            self._failed("no checkpoint could be signed", error)
        return self._halted

    def committed(self, sealed: Sealed) -> None:
        """Take note of what a transaction signed; `follow` writes it down."""
        if sealed.unsigned is not None and not self._told:
            _LOG.error("submissions are taken, but no checkpoint can be signed: %s", sealed.unsigned)
        self._told = sealed.unsigned is not None
        if sealed.checkpoint is not None:
            self._latest = sealed.checkpoint

    def follow(self, seconds: float, stopped: threading.Event) -> None:
        """Write down what was signed, and sign over what other processes append too, until told to stop.

        Args:
            seconds: how long to rest between.
        """
        store = self._home.store
        while not stopped.wait(seconds):
            self.remember()
            try:
                signed = store.checkpoints.newest()
                if signed is not None and signed.size > self._noted:
                    self._note(signed)
                if self.key() is not None and store.head().size > (signed.size if signed else 0):
                    newest(self._home)
            except (LedgerError, OSError) as error:
                self._failed("no checkpoint could be signed", error)
        self.remember()

    def remember(self) -> None:
        """Write the newest checkpoint to the file now."""
        latest, self._latest = self._latest, None
        if latest is not None:
            self._note(latest)

    def _note(self, signed: SignedCheckpoint) -> None:
        try:
            remember(self._home, signed)
            self._noted = max(self._noted, signed.size)
        except (LedgerError, OSError) as error:
            self._failed(f"the newest checkpoint was not noted in {self._home.settings.signed_path}", error)

    def _failed(self, what: str, error: Exception) -> None:
        _LOG.error("%s: %s", what, error)
        if isinstance(error, LogCorruptedError):
            # Another history was signed before: every further signature would be a fork.
            self._halted = True
