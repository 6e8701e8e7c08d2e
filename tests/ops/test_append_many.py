"""`pith append` of more than one transaction holds: checked by several processes, kept line by line."""

from __future__ import annotations

from pathlib import Path

from ledger.bulk import BATCH
from ledger.events import sign
from ops.keyfiles import read_key
from tests.builders import nonce
from tests.ops.homes import a_line, as_lines, numbers_of
from tests.processes import Pith


def test_many_lines_are_appended_in_their_order_and_a_bad_one_is_named(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "test.registry")
    papers = tmp_path / "papers.jsonl"
    papers.write_bytes(as_lines([a_line(0)]))
    pith.fine("import", papers)
    held = read_key(pith.data / "keys" / "event.json")
    (subject,) = numbers_of(papers)
    events = [
        sign(
            held.key,
            event_type="record_updated",
            subject=subject,
            target="record",
            registry=held.registry,
            nonce=nonce(number),
            created_at="2026-06-01T00:00:00Z",
            signer_type="pith_registry",
            signer_id=held.signer_id,
            payload={"paper": {"headline": f"Headline {number}"}},
        )
        for number in range(BATCH + 20)
    ]
    lines = [event.raw for event in events]
    lines.insert(BATCH + 5, b"no event")
    result = pith("append", "-", "--json", given=b"\n".join(lines))
    assert result.code == 2, result.err
    told = result.json
    assert [row["event_id"] for row in told if "event_id" in row] == [event.id_text for event in events]
    assert [row["line"] for row in told if "position" not in row] == [BATCH + 6]
    positions = [row["position"] for row in told if "position" in row]
    assert positions == list(range(positions[0], positions[0] + len(events)))
