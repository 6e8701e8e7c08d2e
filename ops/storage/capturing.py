"""The next step of a capture at a web archive: is there one since, is one to be asked for, how far is it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import LedgerError, ServiceUnavailableError
from ops.jobs.resting import DAY, SECOND
from ops.storage.archive_errors import ArchiveBusyError, ArchiveUnavailableError, CapturedByOthersError
from ops.storage.mementos import stamp_of
from ops.storage.wayback import Archive

NEAR: Final = 3_600 * SECOND
"""How long before the wish a capture may be and still do: the archive's clock is not ours."""


class Asked(Protocol):
    """A capture that is owed: of what, since when (microseconds), and as which job of the archive, "" where none."""

    url: str
    asked_at: int
    job: str


@dataclass(frozen=True, slots=True)
class Step:
    """What an archive said: the job it is at, the 14-digit time of a capture, or why this one went no further."""

    job: str = ""
    stamp: str = ""
    trouble: LedgerError | None = None


def step(archive: Archive, asked: Asked, now: int) -> Step:
    """Take the next step.

    A capture is asked for only where the archive has none since the wish, so that a worker that was killed between
    asking and noting it does not ask twice.

    Raises:
        ServiceUnavailableError, CaptureRefusedError: it went no further, and why.
    """
    try:
        if asked.job:
            stamp = archive.saved(asked.job)
            return Step(job=asked.job) if stamp is None else Step(stamp=_plausible(stamp, now))
        if captures := archive.captures(asked.url, stamp_of(asked.asked_at - NEAR)):
            return Step(stamp=_plausible(captures[0], now))
        return Step(job=archive.save(asked.url))
    except CapturedByOthersError as error:
        if captures := archive.captures(asked.url, stamp_of(now - 2 * DAY)):
            return Step(stamp=_plausible(captures[-1], now))
        # Its index is behind: the capture will stand there.
        raise ServiceUnavailableError(error.message, place=error.place) from None


def stepped(archive: Archive, asked: Asked, now: int) -> Step:
    """Take the next step; what goes wrong with this capture alone stands in it, and the next can be asked for.

    Raises:
        ArchiveUnavailableError, ArchiveBusyError: the next capture would meet the same.
    """
    try:
        return step(archive, asked, now)
    except (ArchiveUnavailableError, ArchiveBusyError):
        raise
    except LedgerError as error:
        return Step(trouble=error)


def _plausible(stamp: str, now: int) -> str:
    """Refuse a capture from the future; a clock may be off by a day."""
    if stamp > stamp_of(now + DAY):
        raise ServiceUnavailableError("the archive speaks of a capture in the future")
    return stamp
