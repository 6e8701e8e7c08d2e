"""The job `checkpoint`: a published checkpoint over all that the log holds, with those who have to sign it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.witness import create_witness_app
from ledger.appending import Submission
from ledger.log_keys import log_verifier
from ledger.witness import Witness
from ops.home import now
from ops.jobs.checkpoints import Checkpoint
from ops.jobs.running import run
from ops.jobs.work import Work
from ops.jobs.working import opened_work
from ops.services import Services
from tests.logs import Ticking
from tests.ops.homes import a_home
from tests.ops.jobs.test_outbox import a_policy
from tests.witnesses import a_witness, served


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    home = a_home(tmp_path / "registry", Ticking())
    with opened_work(home, Services()) as found:
        yield found
    home.close()


def watched(work: Work, folder: Path) -> tuple[Work, Witness]:
    """Return the registry under a policy that needs one witness, which is not there yet."""
    key = log_verifier(work.home.store.registry_name, work.home.signatory("log").key.public_key)
    witness = a_witness(folder / "witness", [key])
    home = replace(work.home, settings=replace(work.home.settings, witness_policy=folder / "policy"))
    return replace(work, home=home), witness


def grow(work: Work, number: int) -> None:
    work.home.append([Submission(a_policy(work, number))])


def test_a_checkpoint_is_published_where_the_log_has_grown_and_only_there(work: Work) -> None:
    job = Checkpoint()
    assert job.owing(work)[0].number == 5
    assert run(job, work).said == "published the checkpoint of 5 entries"
    assert run(job, work).outcome is None
    grow(work, 1)
    assert run(job, work).said == "published the checkpoint of 6 entries"
    assert job.owing(work) == []


def test_witnesses_are_asked_named_where_they_are_missing_and_asked_ever_less_often(work: Work, tmp_path: Path) -> None:
    work, witness = watched(work, tmp_path)
    clock: Ticking = work.home.clock  # type: ignore[assignment]
    (tmp_path / "policy").write_text(f"witness w {witness.verifier.format()} http://127.0.0.1:9\nquorum w\n")
    job = Checkpoint()
    failed = run(job, work)
    assert failed.outcome == "failed"
    assert failed.said.startswith("the checkpoint of 5 entries is not published: ")
    assert "w: " in failed.said
    outcomes = []
    for _ in range(60):
        clock.advance(10)
        outcomes.append(run(job, work).outcome)
    assert set(outcomes) == {"failed", None}
    assert outcomes.count("failed") <= 8
    with served(create_witness_app(witness, now)) as address:
        (tmp_path / "policy").write_text(f"witness w {witness.verifier.format()} {address}\nquorum w\n")
        clock.advance(300)
        assert run(job, work).said == "published the checkpoint of 5 entries"


def test_without_the_logs_key_it_is_said_what_is_missing(work: Work) -> None:
    (work.home.settings.keys / "log.json").unlink()
    job = Checkpoint()
    (owed,) = job.owing(work)
    assert owed.number == 5
    assert owed.waiting
    assert run(job, work).outcome == "failed"
