"""What the application works on: opened by whoever composes it, and handed to every module that makes routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from api.present import Present
from api.reading.other_logs import OtherLogs
from api.settings import ApiSettings
from api.submitting.intake import Intake
from ledger.appending import Clock
from ledger.database import Database
from ledger.publication import Publication
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """One registry, opened for serving.

    `private` holds what the registry knows about people and must be able to forget (see `api.private`).
    `intake` takes submissions; None on a mirror, which takes nothing of its own.
    `random` returns so many random bytes. `others` are the registry's logs beside this one.
    """

    settings: ApiSettings
    store: Store
    projections: Database
    private: Database
    publication: Publication
    present: Present
    intake: Intake | None
    clock: Clock
    random: Callable[[int], bytes]
    others: OtherLogs = field(default_factory=OtherLogs)
