"""`pith verify --headers`: what a reader knows of the chain decides, in bundles and in whole exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.errors import VerificationError
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.ops.proofs import an_anchored_log, an_export
from tests.processes import Pith


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, bytes]:
    """Return an export for whose entries a block and an authority vouch, the authority for more; and the block."""
    folder = tmp_path_factory.mktemp("log")
    log = an_anchored_log(folder)
    anchors = (entry.event.payload for entry in log.store.of_types(["timestamp_anchor"], 0, log.store.head().size))
    payload = next(one for one in anchors if one.anchored.what == "checkpoint" and one.method == "opentimestamps")
    return an_export(log, folder / "export"), payload.height, bytes.fromhex(payload.block_header)


def words(folder: Path, headers: dict[int, bytes]) -> list[str]:
    return [line for line in verify_path(folder, Trust(headers=headers)) if line.startswith("anchor: ")]


def test_an_export_tells_of_every_clock_how_far_it_vouches(exported: tuple[Path, int, bytes]) -> None:
    authority, block = words(exported[0], {})
    assert "says rfc3161" in authority and "says bitcoin regtest block" in block
    sizes = [int(word.split("its first ")[1].split()[0]) for word in (authority, block)]
    assert sizes == sorted(sizes, reverse=True)


def test_an_export_whose_block_is_another_one_is_refused(exported: tuple[Path, int, bytes]) -> None:
    folder, height, header = exported
    with pytest.raises(VerificationError) as refused:
        words(folder, {height: header[:-1] + bytes([header[-1] ^ 1])})
    assert (refused.value.step, "is another one" in refused.value.message) == ("anchor", True)


def test_an_export_whose_block_the_reader_knows_says_so(exported: tuple[Path, int, bytes]) -> None:
    folder, height, header = exported
    assert "The block is in the headers you gave" in words(folder, {height: header})[1]


def test_a_file_of_headers_is_read_by_the_command(exported: tuple[Path, int, bytes], tmp_path: Path) -> None:
    folder, height, header = exported
    path = tmp_path / "headers.json"
    path.write_text(json.dumps({str(height): header.hex()}))
    pith = Pith.at(tmp_path / "data")
    assert "The block is in the headers you gave" in pith.fine("verify", folder, "--headers", path).out
    path.write_text(json.dumps({str(height): bytes(80).hex()}))
    done = pith("verify", folder, "--headers", path)
    assert done.code == 1 and "anchor" in done.err
