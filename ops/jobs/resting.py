"""How long something rests that failed: longer each time up to a limit, and never quite as long as others; in words."""

from __future__ import annotations

from typing import Final

from ledger.errors import AnchorError, LedgerError, ServiceRefusedError
from ledger.signing import Randomness

SECOND: Final = 1_000_000
"""In microseconds, as all times here."""

DAY: Final = 86_400 * SECOND
FIRST_REST: Final = 60 * SECOND
LONGEST_REST: Final = 6 * 3_600 * SECOND


def rests(try_at: int, now: int) -> bool:
    """Say whether something is not to be tried yet; a moment too far off is from before the clock was set back."""
    return now < try_at <= now + 2 * DAY


def rest_after(failures: int, random: Randomness, first: int = FIRST_REST, longest: int = LONGEST_REST) -> int:
    """Return for how many microseconds to rest after so many failures in a row."""
    rest = min(longest, first << min(failures - 1, 30))
    return rest - rest * int.from_bytes(random(4), "big") // (1 << 33)


def again_from(try_at: str) -> str:
    """Say in words from when on something is tried again."""
    return f"tried again from {try_at} on"


def is_refusal(error: LedgerError) -> bool:
    """Say whether asking for the same again would bring the same."""
    return isinstance(error, ServiceRefusedError | AnchorError)
