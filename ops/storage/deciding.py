"""What follows from a look at a copy: whether the log is told, and when to look again. Pure.

That a copy is gone or another is said only after a second look, an hour later at least, that saw the very same. What
could not be reached is no loss: nothing is said of it, and it is tried again, each time after a longer rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ops.jobs.resting import SECOND
from ops.services import Storing
from ops.storage.looking import Look
from ops.storage.standing import Standing

SECOND_LOOK: Final = 3_600 * SECOND
FIRST_REST: Final = 600 * SECOND
JITTER_PART: Final = 10
"""A rest is longer by up to a tenth, by chance, so that not everything that failed together comes again together."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a look saw that only a second one makes a statement of (empty: nothing), and when it ended."""

    what: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the outcome to be told (empty: none), what stays suspected, and when to look again."""

    outcome: str
    suspicion: Suspicion
    tries: int
    next_at: int
    said: str = ""


def decide(look: Look, stands: Standing, before: Suspicion, tries: int, storing: Storing, chance: float) -> Decision:
    """Decide on a look.

    Args:
        stands: what the log says of the copy; its content is known.
        before: what the look before this one saw.
        tries: how many looks in a row reached nothing.
        chance: from 0 up to 1.
    """
    now = look.ended_at
    again = storing.again_seconds * SECOND
    if look.outcome == "refused":
        return Decision("", before, tries, _later(now, again, chance), look.reason)
    is_right = look.outcome == "held" and stands.content is not None and look.sha256 == stands.content.sha256
    if look.outcome == "unreachable" or (look.doubt and look.outcome == "held" and not is_right):
        rest = min(again, FIRST_REST << min(tries, 20))
        reason = look.reason or f"what came is another content, and {look.doubt}"
        return Decision("", before, tries + 1, _later(now, rest, chance), reason)
    recheck = storing.recheck_seconds * SECOND
    is_fresh = 0 <= now - stands.own_at < recheck and stands.own_at > 0
    if is_right:
        if is_fresh and stands.outcome == "stored":
            return Decision("", Suspicion(), 0, _later(stands.own_at, recheck, chance))
        return Decision("stored", Suspicion(), 0, _later(now, recheck, chance))
    outcome, seen = ("missing", "missing") if look.outcome == "missing" else ("changed", f"changed:{look.sha256}")
    if outcome == stands.outcome and look.sha256 == stands.found:
        # It is said already: repeated so that it stays fresh, and looked at often, since it may come back.
        told = "" if is_fresh else outcome
        return Decision(told, Suspicion(), 0, _later(now, again, chance), f"it is {outcome}")
    # What an archive has just captured is not to be seen at once.
    rest = SECOND_LOOK if stands.was_stored else max(SECOND_LOOK, again)
    if before.what != seen or look.started_at < before.at:
        said = f"it seems {outcome}: looked at again before the log is told"
        return Decision("", Suspicion(seen, now), 0, _later(now, rest, chance), said)
    if look.started_at - before.at < SECOND_LOOK:
        said = f"it seems {outcome}: looked at again before the log is told"
        return Decision("", before, 0, _later(before.at, rest, chance), said)
    return Decision(outcome, Suspicion(), 0, _later(now, again, chance), f"it is {outcome}")


def _later(now: int, rest: int, chance: float) -> int:
    return now + rest + int(rest / JITTER_PART * chance)
