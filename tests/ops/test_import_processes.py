"""`pith import` as real processes: on all processors, interrupted, killed, and run again."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from ledger.database import open_sqlite
from ledger.store import Store
from tests.logs import Log
from tests.ops.homes import SAMPLES, a_line, as_lines, numbers_of
from tests.ops.proofs import a_document, written
from tests.processes import Pith, Result

MANY = 2_600
"""Lines enough for the pool of processes, and for a process to be stopped on its way."""

TWINS = (0, 1, 450, 1_300, 2_599)
"""Lines that stand again right behind themselves and once more at the end of the file."""


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("papers") / "many.jsonl"
    rows = [row for at in range(MANY) for row in [a_line(at)] * (2 if at in TWINS else 1)]
    path.write_bytes(as_lines([*rows, *map(a_line, TWINS)]))
    return path


@pytest.fixture(scope="module")
def undisturbed(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pith, Result]:
    pith = started(tmp_path_factory.mktemp("undisturbed"))
    return pith, pith.fine("import", papers, "--json")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """The reports of importing the whole sample, and of importing it again."""
    pith = started(tmp_path_factory.mktemp("sample"))
    paths = sorted(SAMPLES.glob("*.json*"))
    return [pith.fine("import", *paths, "--json") for _ in range(2)]


def started(folder: Path) -> Pith:
    pith = Pith.at(folder / "data")
    pith.fine("init", "test.registry")
    return pith


def recorded(pith: Pith) -> Counter[str]:
    """Return how often each paper was created in a log."""
    database = open_sqlite(pith.data / "ledger.db")
    try:
        entries = Store(database).entries()
        return Counter(entry.event.subject for entry in entries if entry.event.event_type == "record_created")
    finally:
        database.close()


def stopped(pith: Pith, papers: Path, how: signal.Signals) -> tuple[int, str]:
    """Start an import, stop it once a tenth of the file is done; return its exit status and what it said."""
    process = pith.start("import", papers)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(how)
    process.wait(timeout=60)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, (first + process.communicate()[1]).decode()


def test_the_whole_sample_is_imported(sample: list[Result]) -> None:
    assert (sample[0].json["refused_count"], sample[0].json["unchanged"]) == (0, 0)


def test_the_sample_imported_again_adds_nothing(sample: list[Result]) -> None:
    first, second = (result.json for result in sample)
    assert (second["events"], second["unchanged"]) == (0, first["created"])


def test_the_pool_makes_each_paper_once(undisturbed: tuple[Pith, Result], papers: Path) -> None:
    assert recorded(undisturbed[0]) == Counter(numbers_of(papers))


def test_twins_in_different_batches_are_reported_as_unchanged(undisturbed: tuple[Pith, Result]) -> None:
    found = undisturbed[1].json
    assert (found["lines"], found["created"], found["unchanged"]) == (MANY + 2 * len(TWINS), MANY, 2 * len(TWINS))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_an_import_that_was_stopped_ends_like_an_undisturbed_one_when_run_again(
    tmp_path: Path, papers: Path, how: signal.Signals
) -> None:
    pith = started(tmp_path)
    stopped(pith, papers, how)
    pith.fine("import", papers)
    assert recorded(pith) == Counter(numbers_of(papers))


def test_an_interrupted_import_says_what_to_do(tmp_path: Path, papers: Path) -> None:
    code, said = stopped(started(tmp_path), papers, signal.SIGINT)
    assert (code, "run the same command again" in said) == (130, True)


def test_a_killed_import_leaves_no_worker_behind(tmp_path: Path, papers: Path) -> None:
    process = started(tmp_path).start("import", papers)
    assert process.stderr is not None
    process.stderr.readline()
    process.kill()
    try:
        process.communicate(timeout=10)  # comes to an end once nobody holds the pipes any more
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(("given", "code"), [(True, 0), (False, 2)], ids=["its key given", "its key unknown"])
def test_a_foreign_document_is_taken_once_its_receipt_key_is_given(tmp_path: Path, given: bool, code: int) -> None:
    log = Log.opened(tmp_path)
    log.admit(log.world.graph_snapshot(graph_snapshot={"references": {}}))
    path = written(tmp_path, a_document(log))
    key = ["--key", f"own={log.world.receipt.key.public_key.hex()}"] if given else []
    assert started(tmp_path)("import", path, *key).code == code
