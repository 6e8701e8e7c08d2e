"""Whatever a log holds, all that it hands out verifies under its root, and says what the log itself says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.events import Entry, Event
from ledger.proofs import receipts
from projections import bundles
from projections.queries import judged_as_of
from tests.logs import Log
from tests.ops.proofs import a_receipt, an_export, as_read, failed_step, log_key_of, root_of_log, written
from tests.projections.histories import NUMBERS, Chance
from tests.projections.papers import confirmed_checkpoint

SEEDS = range(6)
LENGTH = 120


class Honest(Chance):
    """A log of many kinds of events, keys that come and go among them, that anchors no other tree than its own."""

    def _outside(self) -> Iterator[Event]:
        for event in super()._outside():
            if event.subject == self.world.subject:
                signed = self.log.checkpoint()
                yield confirmed_checkpoint(self.world, signed.size, signed.note.decode())
            else:
                yield event


@dataclass(frozen=True, slots=True)
class Grown:
    log: Log
    root: str
    entries: tuple[Entry, ...]


@pytest.fixture(scope="module", params=SEEDS)
def grown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    log = Honest(tmp_path_factory.mktemp("chance"), request.param, LENGTH).log
    log.checkpoint()
    return Grown(log, root_of_log(log), tuple(log.store.entries()))


def expected(grown: Grown, entry: Entry) -> str:
    """Return at which step the receipt of an entry must fail: only where its signer's key was cut before it."""
    keys = grown.log.store.registry().keys
    cut = keys.is_cut(entry.event.signer.key_id, entry.position, entry.received_at)
    return "key validity" if cut and entry.event.event_type != "key_revoked" else "verified"


def test_a_receipt_of_any_entry_verifies_unless_its_key_was_cut(grown: Grown, tmp_path: Path) -> None:
    wrong = {}
    for entry in grown.entries:
        step = failed_step(written(tmp_path, a_receipt(grown.log, entry)), root=grown.root)
        if step != expected(grown, entry):
            wrong[entry.position, entry.event.event_type] = step
    assert wrong == {}


def test_a_proof_of_any_entry_verifies(grown: Grown, tmp_path: Path) -> None:
    key = log_key_of(grown.log)
    paths = (written(tmp_path, receipts.inclusion(grown.log.store, entry)) for entry in grown.entries)
    assert {failed_step(path, log_key=key) for path in paths} == {"verified"}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_bundle_of_any_paper_verifies_with_the_verdicts_of_the_whole_log(
    grown: Grown, tmp_path: Path, number: str
) -> None:
    bundle = as_read(bundles.bundle(grown.log.store, number))
    judged = judged_as_of(grown.log.store, number, len(grown.entries), grown.log.store.registry())
    verdicts = {judgement.entry.event.id_text: judgement.verdict.status for judgement in judged.judgements}
    assert failed_step(written(tmp_path, bundle), root=grown.root) == "verified"
    assert bundle["state"]["verdicts"] == verdicts


def test_an_export_verifies(grown: Grown, tmp_path: Path) -> None:
    assert failed_step(an_export(grown.log, tmp_path / "export"), root=grown.root) == "verified"
