"""Naming the step of a verification that failed, whatever went wrong inside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.errors import LedgerError, UsageError, VerificationError


@contextmanager
def step(name: str, place: str = "") -> Iterator[None]:
    """Turn whatever goes wrong inside into a VerificationError of this step; one that has a step keeps it."""
    try:
        yield
    except (VerificationError, UsageError):
        raise
    except LedgerError as error:
        raise VerificationError(name, error.message, place=error.place or place, cure=error.cure) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise VerificationError(name, f"a part is missing or of the wrong kind: {error}", place=place) from error
    except OSError as error:
        raise VerificationError(name, f"cannot be read: {error.strerror}", place=str(error.filename)) from error
