from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.payloads import Content
from ops.jobs.resting import SECOND
from ops.services import Storing
from ops.storage.deciding import FIRST_REST, SECOND_LOOK, Decision, Suspicion, decide
from ops.storage.looking import Look
from ops.storage.standing import Standing

NOW = 1_800_000_000 * SECOND
STORING = Storing()
RECHECK, AGAIN = STORING.recheck_seconds * SECOND, STORING.again_seconds * SECOND
RIGHT, WRONG, OTHER = "a" * 64, "b" * 64, "c" * 64
CLAIMED = Standing("", Content(sha256=RIGHT, bytes=1, media_type="text/plain"))
STORED = replace(CLAIMED, outcome="stored", found=RIGHT, own_at=NOW - RECHECK - SECOND, was_stored=True)


def a_look(outcome: str = "held", sha256: str = RIGHT, at: int = NOW) -> Look:
    content = {"sha256": sha256} if outcome == "held" else {}
    return Look(outcome, at, at + SECOND, "why", content)  # type: ignore[arg-type]


def decided(look: Look, stands: Standing = CLAIMED, before: Suspicion = Suspicion(), tries: int = 0) -> Decision:  # noqa: B008
    return decide(look, stands, before, tries, STORING, chance=0.0)


def test_what_is_there_as_claimed_is_told_and_looked_at_again_after_the_whole_rest() -> None:
    made = decided(a_look())
    assert made == Decision("stored", Suspicion(), 0, NOW + SECOND + RECHECK)


def test_what_was_said_lately_is_not_said_again() -> None:
    stands = replace(STORED, own_at=NOW - SECOND)
    made = decided(a_look(), stands)
    assert made.outcome == "" and made.next_at == stands.own_at + RECHECK


def test_what_was_said_long_ago_is_said_again_so_that_it_stays_fresh() -> None:
    assert decided(a_look(), STORED).outcome == "stored"


def test_another_checkers_word_is_none_of_ours() -> None:
    assert decided(a_look(), replace(STORED, own_at=0)).outcome == "stored"


def test_one_look_alone_makes_no_loss() -> None:
    for look, what in ((a_look("missing"), "missing"), (a_look(sha256=WRONG), f"changed:{WRONG}")):
        made = decided(look, STORED)
        assert (made.outcome, made.suspicion) == ("", Suspicion(what, look.ended_at))
        assert made.next_at == look.ended_at + SECOND_LOOK


def test_a_second_look_an_hour_later_makes_it_one() -> None:
    assert decided(a_look("missing"), STORED, Suspicion("missing", NOW - SECOND_LOOK)).outcome == "missing"
    seen = Suspicion(f"changed:{WRONG}", NOW - SECOND_LOOK)
    assert decided(a_look(sha256=WRONG), STORED, seen).outcome == "changed"


def test_a_second_look_too_soon_makes_none() -> None:
    before = Suspicion("missing", NOW - SECOND_LOOK + 1)
    made = decided(a_look("missing"), STORED, before)
    assert made.outcome == "" and made.suspicion == before and made.next_at == before.at + SECOND_LOOK


def test_a_second_look_that_saw_something_else_begins_anew() -> None:
    before = Suspicion(f"changed:{WRONG}", NOW - 2 * SECOND_LOOK)
    for look in (a_look("missing"), a_look(sha256=OTHER)):
        made = decided(look, STORED, before)
        assert made.outcome == "" and made.suspicion.at == look.ended_at and made.suspicion.what != before.what


def test_a_first_look_from_a_clock_that_was_set_back_begins_anew() -> None:
    made = decided(a_look("missing"), STORED, Suspicion("missing", NOW + 100 * SECOND_LOOK))
    assert made.outcome == "" and made.suspicion.at == NOW + SECOND


def test_what_an_archive_has_just_captured_is_given_more_time() -> None:
    assert decided(a_look("missing"), CLAIMED).next_at == NOW + SECOND + AGAIN


def test_a_suspicion_ends_where_the_copy_is_there_again() -> None:
    made = decided(a_look(), replace(STORED, own_at=NOW - SECOND), Suspicion("missing", NOW - SECOND_LOOK))
    assert made.suspicion == Suspicion() and made.outcome == ""


def test_a_loss_is_told_once_and_looked_at_often() -> None:
    lost = replace(STORED, outcome="missing", found="", own_at=NOW - SECOND)
    made = decided(a_look("missing"), lost)
    assert made.outcome == "" and made.next_at == NOW + SECOND + AGAIN
    changed = replace(STORED, outcome="changed", found=WRONG, own_at=NOW - SECOND)
    assert decided(a_look(sha256=WRONG), changed).outcome == ""


def test_a_loss_is_told_again_when_it_was_said_long_ago() -> None:
    assert decided(a_look("missing"), replace(STORED, outcome="missing", found="")).outcome == "missing"


def test_a_copy_that_came_back_is_told_at_once() -> None:
    lost = replace(STORED, outcome="missing", found="", own_at=NOW - SECOND)
    assert decided(a_look(), lost).outcome == "stored"


def test_a_change_to_yet_another_content_needs_two_looks_of_its_own() -> None:
    changed = replace(STORED, outcome="changed", found=WRONG, own_at=NOW - SECOND)
    made = decided(a_look(sha256=OTHER), changed)
    assert made.outcome == "" and made.suspicion.what == f"changed:{OTHER}"


def test_what_cannot_be_reached_is_no_loss_and_rests_longer_each_time() -> None:
    before = Suspicion("missing", NOW - SECOND_LOOK)
    rests = []
    for tries in range(40):
        made = decided(a_look("unreachable"), STORED, before, tries)
        assert (made.outcome, made.suspicion, made.tries, made.said) == ("", before, tries + 1, "why")
        rests.append(made.next_at - NOW - SECOND)
    assert rests[0] == FIRST_REST and rests == sorted(rests) and rests[-1] == AGAIN


def test_what_may_not_be_fetched_waits_with_its_reason() -> None:
    made = decided(a_look("refused"), STORED)
    assert made.outcome == "" and made.said == "why" and made.next_at == NOW + SECOND + AGAIN


def test_other_bytes_that_could_have_come_on_the_way_are_no_change() -> None:
    before = Suspicion(f"changed:{WRONG}", NOW - 2 * SECOND_LOOK)
    for stands in (STORED, replace(STORED, outcome="changed", found=WRONG)):
        made = decided(replace(a_look(sha256=WRONG), reason="", doubt="anybody could have sent it"), stands, before, 2)
        assert (made.outcome, made.suspicion, made.tries) == ("", before, 3)
        assert "anybody could have sent it" in made.said


def test_the_right_bytes_are_right_whichever_way_they_came() -> None:
    assert decided(replace(a_look(), doubt="anybody could have sent it")).outcome == "stored"


@given(
    st.sampled_from(["held", "missing", "unreachable", "refused"]),
    st.sampled_from([RIGHT, WRONG, OTHER]),
    st.sampled_from(["", "stored", "missing", "changed"]),
    st.sampled_from(["", RIGHT, WRONG]),
    st.integers(0, 2 * NOW),
    st.sampled_from(["", "missing", f"changed:{WRONG}"]),
    st.integers(0, 2 * NOW),
    st.integers(0, 1_000),
    st.floats(0, 1, exclude_max=True),
)
def test_no_loss_is_ever_told_after_one_look_and_the_next_is_never_now(
    outcome: str, sha: str, said: str, found: str, own_at: int, what: str, at: int, tries: int, chance: float
) -> None:
    stands = Standing(
        "", CLAIMED.content, None, said, found if said in ("stored", "changed") else "", own_at, bool(said)
    )
    made = decide(a_look(outcome, sha), stands, Suspicion(what, at), tries, STORING, chance)
    seen = "missing" if outcome == "missing" else f"changed:{sha}"
    if made.outcome in ("missing", "changed"):
        assert outcome in ("missing", "held")
        assert (what == seen and NOW - at >= SECOND_LOOK) or (
            said == made.outcome and stands.found == sha * (said != "missing")
        )
    if made.outcome == "stored":
        assert outcome == "held" and sha == RIGHT
    assert made.next_at > NOW - RECHECK
    assert made.outcome or made.next_at > NOW or made.suspicion.what
