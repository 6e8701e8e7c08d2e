"""What a batch may refer to: records that were known when it began are known to its end."""

from __future__ import annotations

from pathlib import Path

from ledger import records
from ledger.database import open_read_only
from ledger.rows import BatchTargets, KnownRecords
from tests.builders import a_record
from tests.logs import Log


def test_a_record_that_is_remembered_when_a_batch_begins_is_not_lost_to_those_that_it_reads(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    made = [a_record(f"Paper {at}", ident=f"2606.0020{at}") for at in range(5)]
    numbers = [records.identify(record).number for record, _ in made]
    log.admit(*(log.world.record_created(*paper) for paper in made))
    remembered = KnownRecords(2)
    database = open_read_only(tmp_path / "log.sqlite")
    with database.read() as connection:
        BatchTargets(connection, {numbers[0]}, known=remembered).record(numbers[0])
        targets = BatchTargets(connection, set(numbers), known=remembered)
        found = [targets.record(number) for number in reversed(numbers)]
    database.close()
    assert [entry and entry.event.subject for entry in found] == numbers[::-1]
