"""Offline verification of an exported log, line by line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, UsageError
from ops import bundles
from ops.verify import verify_path
from tests.logs import Log
from tests.ops.proofs import a_log, an_export, failed_step

Lines = list[bytes]
ENTRIES = "entries-000000.jsonl"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def original(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_export(log, tmp_path_factory.mktemp("export"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """An export that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "export"))


def lines_of(folder: Path) -> Lines:
    return (folder / ENTRIES).read_bytes().splitlines(keepends=True)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def test_an_export_verifies(folder: Path) -> None:
    assert failed_step(folder) == "verified"


def test_an_export_verifies_under_its_root(folder: Path, log: Log) -> None:
    assert failed_step(folder, root=log.store.entry(0).event.id_text) == "verified"


def test_an_export_under_another_root_fails(folder: Path) -> None:
    assert failed_step(folder, root="sha256:" + "0" * 64) == "root"


def test_an_export_holds_the_exact_bytes_of_the_log(folder: Path, log: Log) -> None:
    assert all(entry.event.raw in line for entry, line in zip(log.store.entries(), lines_of(folder), strict=True))


def test_an_export_goes_into_no_folder_that_holds_something(folder: Path, log: Log) -> None:
    with pytest.raises(UsageError, match="not empty"):
        bundles.export(log.store, folder, "", lambda _: None)


def test_another_spelling_of_the_same_lines_verifies(folder: Path) -> None:
    spelled = [json.dumps(json.loads(line), indent=None).encode() + b"\n" for line in lines_of(folder)]
    (folder / ENTRIES).write_bytes(b"".join(spelled))
    assert failed_step(folder) == "verified"


def swap(lines: Lines) -> None:
    lines[4], lines[5] = lines[5], lines[4]


def drop(lines: Lines) -> None:
    del lines[5]


def drop_last(lines: Lines) -> None:
    del lines[-1]


def double(lines: Lines) -> None:
    lines.insert(5, lines[5])


def drop_all(lines: Lines) -> None:
    lines.clear()


def tear(lines: Lines) -> None:
    lines[-1] = lines[-1][: len(lines[-1]) // 2]


def renumber(lines: Lines) -> None:
    del lines[5]
    for at in range(5, len(lines)):
        row = json.loads(lines[at])
        lines[at] = json.dumps({**row, "position": at}).encode() + b"\n"


def backdate(lines: Lines) -> None:
    lines[-1] = json.dumps({**json.loads(lines[-1]), "received_at": 1}).encode() + b"\n"


def unsign(lines: Lines) -> None:
    row = json.loads(lines[-1])
    row["event"]["signature_b64"] = json.loads(lines[-2])["event"]["signature_b64"]
    lines[-1] = json.dumps(row).encode() + b"\n"


def blank(lines: Lines) -> None:
    lines[3] = b"\n"


def lose_the_event(lines: Lines) -> None:
    lines[3] = b'{"position":3,"received_at":1}\n'


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(swap, "position", id="two entries swapped"),
        pytest.param(drop, "position", id="an entry left out"),
        pytest.param(double, "position", id="an entry twice"),
        pytest.param(drop_last, "size", id="the last entry left out"),
        pytest.param(drop_all, "size", id="every entry left out"),
        pytest.param(renumber, "rule", id="a registration left out and the rest numbered anew"),
        pytest.param(backdate, "time", id="an entry older than its predecessor"),
        pytest.param(unsign, "signature", id="another event's signature"),
        pytest.param(tear, "canonical form", id="a torn line"),
        pytest.param(blank, "canonical form", id="an empty line"),
        pytest.param(lose_the_event, "canonical form", id="a line without event"),
    ],
)
def test_spoiled_entries_fail_at_their_step(folder: Path, spoil: Callable[[Lines], None], step: str) -> None:
    lines = lines_of(folder)
    spoil(lines)
    (folder / ENTRIES).write_bytes(b"".join(lines))
    assert failed_step(folder) == step


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("size", 3, "size"),
        ("size", None, "size"),
        ("root", "sha256:" + "0" * 64, "root"),
        ("registry", "other.registry", "rule"),
        ("state_digest", "0" * 64, "state"),
        ("export_type", "something", "usage"),
    ],
)
def test_a_spoiled_manifest_fails_at_its_step(folder: Path, name: str, value: object, step: str) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest_of(folder), name: value}))
    assert failed_step(folder) == step


@pytest.mark.parametrize(
    "name", ["export_type", "export_version", "merge_version", "registry", "root", "size", "state_digest"]
)
def test_a_manifest_that_lacks_a_part_never_verifies(folder: Path, name: str) -> None:
    manifest = manifest_of(folder)
    del manifest[name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert failed_step(folder) != "verified"


@pytest.mark.parametrize("name", ["merge_version", "export_version"])
def test_an_export_by_foreign_rules_is_refused(folder: Path, name: str) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest_of(folder), name: "something else"}))
    assert failed_step(folder) != "verified"


def test_a_folder_that_is_no_export_fails_at_the_canonical_form(tmp_path: Path) -> None:
    assert failed_step(tmp_path) == "canonical form"


def test_an_export_whose_state_the_log_does_not_have_says_so(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest_of(folder), "state_digest": "0" * 64}))
    with pytest.raises(LedgerError, match="replaying gives"):
        verify_path(folder, {}, None)


@pytest.mark.parametrize("seed", range(6))
def test_an_export_with_any_byte_changed_never_verifies(folder: Path, log: Log, seed: int) -> None:
    chance, raw = random.Random(seed), (folder / ENTRIES).read_bytes()
    for _ in range(20):
        spoiled = bytearray(raw)
        spoiled[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        (folder / ENTRIES).write_bytes(spoiled)
        try:
            verify_path(folder, {}, log.store.entry(0).event.id_text)
        except LedgerError:
            continue
        assert _signed_part(bytes(spoiled)) == _signed_part(raw)


def _signed_part(raw: bytes) -> list[Any]:
    """Leave out when the log took its events, which is the log's word and in no signature."""
    return [{**json.loads(line), "received_at": 0} for line in raw.splitlines()]
