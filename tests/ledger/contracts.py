"""What every store must keep, whatever database it writes to: subclass `StoreContract` beside a `backend` fixture."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Protocol

import pytest

from ledger.appending import Appended, Outcome, Submission
from ledger.errors import (
    CommitmentMismatchError,
    NotFoundError,
    SignatureInvalidError,
    SignerNotAllowedError,
    StoreError,
    SubmissionError,
    UnknownKeyError,
    VerificationError,
)
from ledger.events import Entry
from ledger.keys import EVENT_DOMAIN
from ledger.merkle import leaf_hash, root_of
from ledger.store import Store
from tests import writers
from tests.builders import ALICE, BOB, REGISTRY, World, contributor, disclosed, secret
from tests.forgeries import another_signature, with_signature
from tests.logs import Log, Ticking, history


class Backend(Protocol):
    """A database with an empty log of `REGISTRY` in it."""

    def open(self) -> Store:
        """Open the log again, sharing nothing with stores that are open already."""

    def create_again(self) -> None:
        """Try to create a second log in the same database."""

    def start(self, mode: str, *arguments: int) -> subprocess.Popen[str]:
        """Start a process of `tests.writers` on this log."""


def facts(outcome: Outcome) -> tuple[int, int, bytes, bool]:
    """Return what an answer says: position, time, bytes, and whether the entry is new."""
    assert isinstance(outcome, Appended), outcome
    return outcome.entry.position, outcome.entry.received_at, outcome.entry.event.raw, outcome.created


@dataclass(slots=True)
class Stopping:
    """A clock that gives a time for some looks, then none: the second look of an append is when it signs."""

    clock: Ticking
    looks: int

    def __call__(self) -> int:
        self.looks -= 1
        if self.looks < 0:
            raise OSError("the clock has stopped")
        return self.clock()


class StoreContract:
    """The suite; `log` is a log with keys, people and one paper."""

    @pytest.fixture
    def log(self, backend: Backend) -> Log:
        log = Log(World(), backend.open())
        log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
        return log

    # Positions.

    def test_a_new_log_is_empty(self, backend: Backend) -> None:
        head = backend.open().head()
        assert (head.size, head.received_at) == (0, 0)

    def test_a_log_knows_its_registry(self, backend: Backend) -> None:
        assert backend.open().registry_name == REGISTRY

    def test_a_database_holds_one_log(self, backend: Backend) -> None:
        with pytest.raises(StoreError):
            backend.create_again()

    def test_positions_are_gapless_and_in_commit_order(self, backend: Backend) -> None:
        log = Log(World(), backend.open())
        events = history(log.world)
        for event in events:
            log.admit(event)
        found = [(entry.position, entry.event.id_text) for entry in log.store.entries()]
        assert found == [(at, event.id_text) for at, event in enumerate(events)]

    def test_positions_follow_the_order_within_a_batch(self, backend: Backend) -> None:
        log = Log(World(), backend.open())
        events = history(log.world)
        assert [facts(outcome)[0] for outcome in log.append(*events)] == list(range(len(events)))

    def test_the_head_tells_size_and_last_time(self, log: Log) -> None:
        entry = log.admit(log.world.author())
        head = log.store.head()
        assert (head.size, head.received_at) == (entry.position + 1, entry.received_at)

    def test_an_empty_batch_changes_nothing(self, log: Log) -> None:
        size = log.store.head().size
        assert (log.append(), log.store.head().size) == ([], size)

    # The same event again.

    def test_the_same_event_twice_in_a_batch_is_one_entry(self, log: Log) -> None:
        event = log.world.author()
        first, second = map(facts, log.append(event, event))
        assert (first[:3], first[3], second[3]) == (second[:3], True, False)

    def test_the_same_event_later_is_the_same_entry(self, log: Log) -> None:
        event = log.world.author()
        (first,) = log.append(event)
        log.clock.advance(60)
        (second,) = log.append(event)
        assert facts(second) == (*facts(first)[:3], False)

    def test_the_same_event_again_grows_nothing(self, log: Log) -> None:
        before = log.store.head()
        log.append(log.store.entry(0).event, log.store.entry(5).event)
        assert log.store.head() == before

    def test_the_same_event_through_another_store_is_the_same_entry(self, log: Log, backend: Backend) -> None:
        event = log.world.author()
        (first,) = log.append(event)
        (second,) = backend.open().append([Submission(event)], Ticking())
        assert facts(second) == (*facts(first)[:3], False)

    def test_two_stores_take_turns(self, log: Log, backend: Backend) -> None:
        other = Log(log.world, backend.open(), log.clock)
        entries = [store.admit(log.world.author()) for store in (log, other) * 5]
        positions = [entry.position for entry in entries]
        assert positions == list(range(positions[0], positions[0] + 10))

    def test_a_key_registered_through_one_store_signs_through_another(self, log: Log, backend: Backend) -> None:
        carol = contributor("carol")
        log.admit(log.world.registration(carol))
        Log(log.world, backend.open(), log.clock).admit(log.world.author(carol))

    def test_a_key_registered_through_another_store_meanwhile_may_sign(self, log: Log, backend: Backend) -> None:
        carol = contributor("carol")
        other = Log(log.world, backend.open(), log.clock)
        log.admit(log.world.author())
        other.admit(log.world.registration(carol))
        log.admit(log.world.author(carol))

    # Other signatures over the same body.

    def test_a_second_valid_signature_is_the_same_entry(self, log: Log) -> None:
        event = log.world.author()
        (first,) = log.append(event)
        twin = with_signature(event, another_signature(ALICE.key, EVENT_DOMAIN + event.event_id))
        assert twin.raw != event.raw
        assert facts(log.append(twin)[0]) == (*facts(first)[:3], False)

    def test_a_second_valid_signature_in_the_same_batch_is_the_same_entry(self, log: Log) -> None:
        event = log.world.author()
        twin = with_signature(event, another_signature(ALICE.key, EVENT_DOMAIN + event.event_id))
        first, second = map(facts, log.append(event, twin))
        assert second == (*first[:3], False)

    def test_an_invalid_signature_over_a_known_body_is_refused(self, log: Log) -> None:
        event = log.world.author()
        log.admit(event)
        forged = with_signature(event, BOB.key.sign_event(event.event_id))
        assert isinstance(log.refusal(forged), SignatureInvalidError)

    def test_an_invalid_signature_does_not_keep_the_valid_one_out(self, log: Log) -> None:
        event = log.world.author()
        assert isinstance(log.refusal(with_signature(event, bytes(64))), SignatureInvalidError)
        assert facts(log.append(event)[0])[3]

    # Refused events.

    def test_a_refused_event_leaves_nothing_and_the_others_are_kept(self, log: Log) -> None:
        size = log.store.head().size
        stranger = log.world.author(contributor("stranger"))
        outcomes = log.append(log.world.author(), stranger, log.world.citation())
        assert [isinstance(outcome, SubmissionError) for outcome in outcomes] == [False, True, False]
        assert [facts(outcomes[at])[0] for at in (0, 2)] == [size, size + 1]
        with pytest.raises(NotFoundError):
            log.store.find(stranger.event_id)

    def test_a_refused_event_can_be_taken_later(self, log: Log) -> None:
        carol = contributor("carol")
        event = log.world.author(carol)
        assert isinstance(log.refusal(event), UnknownKeyError)
        log.admit(log.world.registration(carol), event)

    def test_a_refused_registration_leaves_no_key(self, log: Log) -> None:
        carol = contributor("carol")
        refused = log.world.registration(carol, "moderator", by=ALICE)
        outcomes = log.append(refused, log.world.author(carol))
        assert [type(outcome) for outcome in outcomes] == [SignerNotAllowedError, UnknownKeyError]

    def test_a_key_registered_earlier_in_the_batch_may_sign(self, log: Log) -> None:
        carol = contributor("carol")
        log.admit(log.world.registration(carol), log.world.author(carol))

    def test_a_forged_signature_by_a_key_registered_earlier_in_the_batch_is_refused(self, log: Log) -> None:
        carol = contributor("carol")
        forged = with_signature(log.world.author(carol), bytes(64))
        first, second = log.append(log.world.registration(carol), forged)
        assert isinstance(first, Appended)
        assert isinstance(second, SignatureInvalidError)

    def test_a_key_registered_later_in_the_batch_may_not_sign_yet(self, log: Log) -> None:
        carol = contributor("carol")
        first, second = log.append(log.world.author(carol), log.world.registration(carol))
        assert isinstance(first, UnknownKeyError)
        assert isinstance(second, Appended)

    def test_a_key_revoked_earlier_in_the_batch_may_not_sign(self, log: Log) -> None:
        _, second = log.append(log.world.revocation(BOB), log.world.author(BOB))
        assert isinstance(second, SubmissionError)

    # Times.

    def test_received_at_is_the_clocks(self, log: Log) -> None:
        log.clock.set("2026-07-01T00:00:00Z")
        assert log.admit(log.world.author()).received_at == log.clock.now

    def test_received_at_never_decreases_even_if_the_clock_goes_back(self, log: Log) -> None:
        last = log.admit(log.world.author()).received_at
        log.clock.now -= 3_600_000_000
        assert log.admit(log.world.author()).received_at == last

    def test_size_at_counts_what_was_received_by_a_time(self, log: Log) -> None:
        start = log.store.head()
        sizes = []
        for _ in range(5):
            log.clock.advance(10)
            sizes.append((log.admit(log.world.author()).received_at, log.store.head().size))
        assert [log.store.size_at(time) for time, _ in sizes] == [size for _, size in sizes]
        assert [log.store.size_at(time - 1) for time, _ in sizes] == [size - 1 for _, size in sizes]
        assert log.store.size_at(start.received_at) == start.size

    def test_size_at_before_the_first_entry_is_nothing(self, log: Log) -> None:
        assert log.store.size_at(0) == 0

    def test_size_at_of_an_empty_log_is_nothing(self, backend: Backend) -> None:
        assert backend.open().size_at(2**62) == 0

    # Reading.

    def test_an_event_is_found_by_its_id(self, log: Log) -> None:
        entry = log.admit(log.world.author())
        assert log.store.find(entry.event.event_id).event.raw == entry.event.raw

    def test_an_event_that_was_never_appended_is_not_found(self, log: Log) -> None:
        with pytest.raises(NotFoundError):
            log.store.find(log.world.author().event_id)

    def test_an_id_that_shares_its_first_half_is_not_found(self, log: Log) -> None:
        event_id = log.store.entry(0).event.event_id
        with pytest.raises(NotFoundError):
            log.store.find(event_id[:16] + bytes(16))

    def test_a_position_beyond_the_log_is_not_found(self, log: Log) -> None:
        with pytest.raises(NotFoundError):
            log.store.entry(log.store.head().size)

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 3), (2, 5), (3, None), (5, 1_000), (9, 3)])
    def test_a_range_of_entries_is_read(self, log: Log, start: int, stop: int | None) -> None:
        positions = [entry.position for entry in log.store.entries(start, stop)]
        assert positions == list(range(log.store.head().size))[start:stop]

    def test_the_registrys_stream_is_read_alone(self, log: Log) -> None:
        log.admit(log.world.author(), log.world.policy())
        found = log.store.of_registry(0, log.store.head().size)
        assert [entry.position for entry in found] == [0, 1, 2, 3, 4, 5, 6, 7, 10]

    def test_a_papers_events_are_read_together(self, log: Log) -> None:
        subject = log.admit(log.world.author()).event.subject
        found = log.store.of_subjects([subject, "pith:2026:" + "A" * 26], before=10)
        assert {name: [entry.position for entry in entries] for name, entries in found.items()} == {
            subject: [8, 9],
            "pith:2026:" + "A" * 26: [],
        }

    def test_a_papers_later_events_are_left_out(self, log: Log) -> None:
        subject = log.admit(log.world.author()).event.subject
        assert [entry.position for entry in log.store.of_subjects([subject], before=9)[subject]] == [8]

    def test_what_is_read_is_what_was_signed_byte_for_byte(self, log: Log) -> None:
        event = log.world.author(author_name="Ærø 😂 Ångström")
        assert log.store.entry(log.admit(event).position).event.raw == event.raw

    # Private texts.

    def test_disclosures_are_kept_beside_their_entry(self, log: Log) -> None:
        given = {"text": disclosed("It is off by one.")}
        (outcome,) = log.store.append([Submission(log.world.challenge(), given)], log.clock)
        position = facts(outcome)[0]
        assert log.store.disclosures([position, 0]) == {position: given}

    def test_who_appends_the_bare_event_first_keeps_no_text_out(self, log: Log) -> None:
        claim = log.world.author(statement=secret("I wrote it"))
        for texts in ({}, {"statement": disclosed("I wrote it")}):
            (outcome,) = log.store.append([Submission(claim, texts)], log.clock)
        position = facts(outcome)[0]
        assert log.store.disclosures([position]) == {position: {"statement": disclosed("I wrote it")}}

    def test_a_text_that_comes_with_the_second_of_a_batch_is_kept(self, log: Log) -> None:
        claim = log.world.author(statement=secret("I wrote it"))
        texts = {"statement": disclosed("I wrote it")}
        first, _ = log.store.append([Submission(claim), Submission(claim, texts)], log.clock)
        position = facts(first)[0]
        assert log.store.disclosures([position]) == {position: texts}

    def test_a_text_is_kept_whatever_characters_it_has(self, log: Log) -> None:
        given = {"text": disclosed("\0 is a character, 😂 too, \x7f\r\n\u2028\ufeff")}
        challenge = log.world.challenge(text=secret(given["text"].text))
        (outcome,) = log.store.append([Submission(challenge, given)], log.clock)
        position = facts(outcome)[0]
        assert log.store.disclosures([position]) == {position: given}

    def test_a_redacted_text_goes_and_does_not_come_back(self, log: Log) -> None:
        claim = log.world.author(statement=secret("I wrote it"))
        submission = Submission(claim, {"statement": disclosed("I wrote it")})
        (outcome,) = log.store.append([submission], log.clock)
        log.admit(log.world.decision(claim, "redacted"))
        log.store.append([submission], log.clock)
        assert log.store.disclosures([facts(outcome)[0]]) == {}

    def test_adopt_refuses_an_event_that_stands_already(self, log: Log) -> None:
        known = log.store.entry(5)
        size = log.store.head().size
        with pytest.raises(VerificationError) as caught:
            log.store.adopt([Entry(size, log.clock(), known.event)])
        assert (caught.value.step, log.store.head().size) == ("position", size)

    def test_a_refused_events_disclosures_are_not_kept(self, log: Log) -> None:
        stranger = log.world.challenge(who=contributor("stranger"))
        size = log.store.head().size
        log.store.append([Submission(stranger, {"text": disclosed("It is off by one.")})], log.clock)
        assert log.store.disclosures(range(size + 2)) == {}

    def test_append_refuses_a_disclosure_that_does_not_open_its_commitment(self, log: Log) -> None:
        submission = Submission(log.world.challenge(), {"text": disclosed("It is off by two.")})
        assert isinstance(log.store.append([submission], log.clock)[0], CommitmentMismatchError)

    # Checks that need no lock.

    def test_verify_says_that_it_checked(self, log: Log) -> None:
        assert log.store.verify(Submission(log.world.author())).verified

    def test_verify_refuses_a_forged_signature(self, log: Log) -> None:
        with pytest.raises(SignatureInvalidError):
            log.store.verify(Submission(with_signature(log.world.author(), bytes(64))))

    def test_verify_refuses_a_disclosure_that_does_not_open_its_commitment(self, log: Log) -> None:
        given = {"statement": disclosed("I did not write this.")}
        with pytest.raises(CommitmentMismatchError):
            log.store.verify(Submission(log.world.author(), given))

    def test_verify_leaves_an_unknown_key_to_append(self, log: Log) -> None:
        assert not log.store.verify(Submission(log.world.author(contributor("carol")))).verified

    def test_verify_never_appends(self, log: Log) -> None:
        before = log.store.head()
        log.store.verify(Submission(log.world.author()))
        assert log.store.head() == before

    # Transactions that fail.

    def test_an_append_that_fails_when_all_is_written_leaves_nothing(self, log: Log) -> None:
        carol = contributor("carol")
        rows, head = list(log.store.rows()), log.store.head()
        submissions = [Submission(event) for event in (log.world.registration(carol), log.world.author(carol))]
        with pytest.raises(OSError, match="stopped"):
            log.store.append_sealed(submissions, Stopping(log.clock, looks=1), log.world.log.key)
        assert (list(log.store.rows()), log.store.head()) == (rows, head)
        assert isinstance(log.refusal(log.world.author(carol)), UnknownKeyError)

    def test_what_failed_once_is_taken_the_second_time(self, log: Log) -> None:
        size = log.store.head().size
        submissions = [Submission(log.world.author()) for _ in range(20)]
        with pytest.raises(OSError, match="stopped"):
            log.store.append_sealed(submissions, Stopping(log.clock, looks=1), log.world.log.key)
        sealed = log.store.append_sealed(submissions, log.clock, log.world.log.key)
        assert [facts(outcome)[0] for outcome in sealed.outcomes] == list(range(size, size + 20))
        assert sealed.checkpoint is not None
        assert sealed.checkpoint.root == root_of([leaf_hash(entry.leaf()) for entry in log.store.entries()])

    # Adopting another copy's entries.

    def test_an_adopted_copy_is_the_same_log(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        original = Log.opened(tmp_path_factory.mktemp("original"))
        copy = backend.open()
        copy.adopt(list(original.store.entries()))
        assert list(copy.rows()) == list(original.store.rows())

    def test_a_copy_with_a_hole_is_not_adopted(
        self, backend: Backend, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        entries = list(Log.opened(tmp_path_factory.mktemp("original")).store.entries())
        copy = backend.open()
        with pytest.raises(VerificationError) as refused:
            copy.adopt(entries[:5] + entries[6:])
        assert (refused.value.step, copy.head().size) == ("position", 0)

    def test_a_copy_with_a_forged_signature_is_not_adopted(
        self, backend: Backend, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        entries = list(Log.opened(tmp_path_factory.mktemp("original")).store.entries())
        last = entries[-1]
        forged = Entry(last.position, last.received_at, with_signature(last.event, bytes(64)))
        copy = backend.open()
        with pytest.raises(VerificationError) as refused:
            copy.adopt([*entries[:-1], forged])
        assert (refused.value.step, copy.head().size) == ("signature", 0)

    # Several processes.

    def test_two_processes_append_the_same_events_once_each(self, log: Log, backend: Backend) -> None:
        size, count = log.store.head().size, 200
        rivals = [backend.start("race", seed, count) for seed in (1, 2)]
        for rival in rivals:
            assert rival.stdout is not None
            assert rival.stdout.readline() == "ready\n"
        outputs = [rival.communicate("go\n", timeout=60)[0] for rival in rivals]
        answers = [json.loads(line) for output in outputs for line in output.splitlines()]
        assert [rival.returncode for rival in rivals] == [0, 0]
        assert sum(created for *_, created in answers) == count
        assert len({(event, position, time) for event, position, time, _ in answers}) == count
        entries = list(log.store.entries(size))
        assert [entry.position for entry in entries] == list(range(size, size + count))
        assert {entry.event.id_text for entry in entries} == {event.id_text for event in writers.shared_events(count)}

    def test_a_killed_process_loses_nothing_that_it_acknowledged(self, log: Log, backend: Backend) -> None:
        acknowledged: list[str] = []
        for seed, patience in enumerate((1, 40, 7, 90, 23)):
            victim = backend.start("endless", seed)
            assert victim.stdout is not None
            acknowledged += [victim.stdout.readline().strip() for _ in range(patience)]
            victim.kill()
            # What else it had said before it died, less a line that was cut short.
            said = victim.stdout.read().splitlines(keepends=True)
            acknowledged += [line.strip() for line in said if line.endswith("\n")]
            victim.wait(timeout=60)
        entries = list(backend.open().entries())
        assert len(acknowledged) >= 161
        assert set(acknowledged) <= {entry.event.id_text for entry in entries}
        assert [entry.position for entry in entries] == list(range(log.store.head().size))

    def test_a_log_goes_on_gapless_after_its_writer_was_killed(self, log: Log, backend: Backend) -> None:
        victim = backend.start("endless", 9)
        assert victim.stdout is not None
        victim.stdout.readline()
        victim.kill()
        victim.communicate(timeout=60)
        size = log.store.head().size
        assert log.admit(log.world.author()).position == size
