"""What a log publishes, wherever it lies: a database, a folder, an address."""

from __future__ import annotations

from typing import Final, Protocol

from ledger.tiles import Tile

IDENTITY_PATH: Final = "pith-log.json"
CHECKPOINT_PATH: Final = "checkpoint"


class Publication(Protocol):
    """The files by which anybody can check a log (C2SP tlog-tiles, and who may sign for it).

    Nothing that comes from one is trusted before it is verified.
    """

    def checkpoint(self) -> bytes:
        """Return the signed note of the newest published checkpoint.

        Raises:
            LedgerError: there is none, or it cannot be had.
        """

    def tile(self, tile: Tile) -> bytes:
        """Return a tile or entry bundle of the published tree.

        Raises:
            LedgerError: there is none, or it cannot be had.
        """

    def identity(self) -> bytes:
        """Return the log's identity (`pith-log.json`): its root event and every event about its log keys.

        Raises:
            LedgerError: it cannot be had.
        """
