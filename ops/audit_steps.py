"""Naming what an audit was checking, where it stood and what to do, whatever it was that went wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError, VerificationError

LOG_CURE: Final = (
    "stop writing, keep the files as they are, and compare them with a backup, a mirror or an export of this log"
)
PROJECTIONS_CURE: Final = (
    "the log is untouched: remove projections.db and what stands beside it, and run `pith rebuild`"
)

Advance = Callable[[int], None]
"""Called with how much was done since the last call."""

Bar = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows how far a long check is, from its label and how much there is to do."""


@contextmanager
def checking(step: str, place: str = "", cure: str = LOG_CURE) -> Iterator[None]:
    """Turn whatever goes wrong inside into a VerificationError.

    Args:
        step: its step, unless it has one.
        place: where it is, unless it says so itself.
        cure: what to do, unless the check that failed knows better.
    """
    try:
        yield
    except VerificationError as error:
        raise VerificationError(
            error.step, error.message, place=error.place or place, cure=error.cure or cure
        ) from error
    except LedgerError as error:
        where = ", ".join(part for part in (place, error.place) if part)
        raise VerificationError(step, error.message, place=where, cure=cure) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise VerificationError(step, f"the database cannot be read: {reason}", place=place, cure=cure) from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise VerificationError(step, f"a value is of the wrong kind: {error}", place=place, cure=cure) from error


@contextmanager
def silent(label: str, total: int) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda _: None
