"""Offline verification of an exported log: every file of it, every entry, and what they amount to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, NotFoundError, UsageError
from ledger.merkle import HASH_BYTES
from ledger.proofs.authority import identity
from ledger.proofs.trust import Trust
from ledger.tiles import pack_entries, unpack_entries
from ops.export import export
from ops.verify import verify_path
from tests.builders import NUMBER
from tests.logs import Log
from tests.ops.false_notes import FALSE_NOTES, FOREIGN_NOTES, STRANGERS_LINES, SpoilNote
from tests.ops.proofs import (
    NO_ROOT,
    WITNESS_KEY,
    a_log,
    an_export,
    as_read,
    cosigned,
    failed_step,
    files_of,
    log_key_of,
    one_byte_changed,
    policy_of,
    root_of_log,
    thiefs_log,
    with_citations,
)

FULL_BUNDLE, FULL_TILE = "tile/entries/000", "tile/0/000"
EDGE_BUNDLE, EDGE_TILE, UPPER_TILE = "tile/entries/002.p/88", "tile/0/002.p/88", "tile/1/000.p/2"
OUTSIDE = [
    f"anchors/{name}"
    for name in (
        "README",
        "checkpoint-19/checkpoint",
        "checkpoint-19/checkpoint.calendar.example.org.ots",
        f"{NUMBER[10:]}/record.json",
        f"{NUMBER[10:]}/record.calendar.example.org.ots",
    )
]
FILES = sorted(
    [
        *("checkpoint", "manifest.json", "pith-log.json", *OUTSIDE),
        *(FULL_BUNDLE, "tile/entries/001", EDGE_BUNDLE, FULL_TILE, "tile/0/001", EDGE_TILE, UPPER_TILE),
    ]
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log of 600 entries: two full tiles, a partial one, and one above them."""
    log = a_log(tmp_path_factory.mktemp("log"))
    return with_citations(log, 600 - log.store.head().size)


@pytest.fixture(scope="module")
def root(log: Log) -> str:
    return root_of_log(log)


@pytest.fixture(scope="module")
def original(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_export(log, tmp_path_factory.mktemp("export"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """An export that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "export"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return a_log(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def small_original(small: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_export(small, tmp_path_factory.mktemp("small-export"))


@pytest.fixture
def small_folder(small_original: Path, tmp_path: Path) -> Path:
    """An export of a few entries that a test may spoil."""
    return Path(shutil.copytree(small_original, tmp_path / "small"))


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def complaint(folder: Path, **trust: Any) -> str:
    """Return the words with which verification of a folder fails."""
    with pytest.raises(LedgerError) as refused:
        verify_path(folder, Trust(**trust))
    return str(refused.value)


# What an export is.


def test_an_export_has_the_files_of_a_published_log_and_a_manifest(original: Path) -> None:
    assert files_of(original) == FILES


def test_an_export_verifies(folder: Path) -> None:
    assert failed_step(folder) == "verified"


def test_an_export_verifies_under_its_root(folder: Path, root: str) -> None:
    assert failed_step(folder, root=root) == "verified"


def test_an_export_verifies_under_its_log_key(folder: Path, log: Log) -> None:
    assert failed_step(folder, log_key=log_key_of(log)) == "verified"


def test_verifying_says_what_was_checked(folder: Path, root: str) -> None:
    said = "\n".join(verify_path(folder, Trust(root)))
    assert all(
        words in said for words in ("as you asked", "over 600 entries", "tiles: all of them", "state: replaying")
    )


def test_verifying_tells_how_far_it_is(folder: Path) -> None:
    steps: list[int] = []
    verify_path(folder, Trust(), steps.append)
    assert sum(steps) == 600


def test_verifying_leaves_nothing_behind(folder: Path, original: Path) -> None:
    verify_path(folder, Trust())
    assert files_of(folder) == files_of(original)


def test_an_export_holds_the_exact_bytes_of_the_log(original: Path, log: Log) -> None:
    bundles = {name: 256 for name in files_of(original) if name.startswith("tile/entries")} | {EDGE_BUNDLE: 88}
    leaves = [leaf for name, width in bundles.items() for leaf in unpack_entries((original / name).read_bytes(), width)]
    assert sorted(leaves) == sorted(entry.leaf() for entry in log.store.entries())


def test_an_export_holds_the_log_up_to_its_published_checkpoint(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    size = log.checkpoint().size
    log.admit(log.world.author())
    export(log.store, tmp_path / "export", log.store.checkpoints.published(), "", lambda _: None)
    assert files_of(tmp_path / "export") == [
        *("checkpoint", "manifest.json", "pith-log.json", f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}")
    ]


def test_an_export_goes_into_no_folder_that_holds_something(folder: Path, log: Log) -> None:
    with pytest.raises(UsageError, match="not empty"):
        export(log.store, folder, log.store.checkpoints.published(), "", lambda _: None)


def test_a_log_without_a_checkpoint_has_no_export(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    with pytest.raises(NotFoundError, match="no checkpoint was published"):
        export(log.store, tmp_path / "export", log.store.checkpoints.published(), "", lambda _: None)


def test_an_export_of_a_copy_is_the_same(log: Log, original: Path, tmp_path: Path) -> None:
    again = an_export(log, tmp_path / "again")
    assert [(again / name).read_bytes() for name in FILES] == [(original / name).read_bytes() for name in FILES]


def test_a_folder_that_is_no_export_fails_at_the_canonical_form(tmp_path: Path) -> None:
    assert failed_step(tmp_path) == "canonical form"


# Its files.


@pytest.mark.parametrize("name", [name for name in FILES if name not in OUTSIDE])
def test_a_file_that_is_missing_is_named(folder: Path, root: str, name: str) -> None:
    (folder / name).unlink()
    assert name in complaint(folder, root=root)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_named(folder: Path, root: str, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert name in complaint(folder, root=root)


@pytest.mark.parametrize("name", sorted({*FILES} - {"manifest.json"}))
def test_a_link_that_leads_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "outside")
    assert name in complaint(folder)


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "ledger.db",
        "tile/entries/003",
        "tile/entries/002",
        "tile/entries/002.p/87",
        "tile/entries/2",
        "tile/0/000.p/5",
        "tile/1/001",
        "tile/2/000.p/1",
        ".hidden",
    ],
)
def test_a_file_that_is_no_part_of_the_export_is_named(folder: Path, root: str, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(b"")
    assert str(folder / name) in complaint(folder, root=root)


def test_a_link_to_a_folder_is_no_part_of_the_export(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert str(folder / "more") in complaint(folder)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("tile/")])
@pytest.mark.parametrize("change", ["empty", "shorter", "longer"])
def test_a_tile_of_another_length_never_verifies(folder: Path, root: str, name: str, change: str) -> None:
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes({"empty": b"", "shorter": raw[:-1], "longer": raw + b"\0"}[change])
    assert failed_step(folder, root=root) in ("tile", "source-unreadable")


@pytest.mark.parametrize("name", ["checkpoint", "manifest.json", "pith-log.json"])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_torn_file_fails(folder: Path, root: str, name: str, kept: int) -> None:
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: len(raw) * kept // 3])
    assert failed_step(folder, root=root) in ("canonical form", "checkpoint")


# Its entries and tiles, spoiled by whoever passed them on.


@pytest.mark.parametrize("name", [FULL_BUNDLE, "tile/entries/001", EDGE_BUNDLE])
@pytest.mark.parametrize("seed", range(3))
def test_any_changed_byte_of_an_entry_is_named_by_its_bundle_and_position(
    folder: Path, root: str, name: str, seed: int
) -> None:
    raw = (folder / name).read_bytes()
    for spoiled in one_byte_changed(raw, seed, 8):
        (folder / name).write_bytes(spoiled)
        found = complaint(folder, root=root)
        assert f"{name}, position" in found or "of a bundle" in found


@pytest.mark.parametrize("name", [FULL_TILE, "tile/0/001", EDGE_TILE, UPPER_TILE])
@pytest.mark.parametrize("seed", range(3))
def test_any_changed_byte_of_a_tile_fails_at_the_tile(folder: Path, root: str, name: str, seed: int) -> None:
    raw = (folder / name).read_bytes()
    for spoiled in one_byte_changed(raw, seed, 8):
        (folder / name).write_bytes(spoiled)
        assert failed_step(folder, root=root) == "tile"


@pytest.mark.parametrize("name", [FULL_TILE, "tile/0/001"])
def test_a_changed_full_tile_is_named(folder: Path, root: str, name: str) -> None:
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(bytes(HASH_BYTES) + raw[HASH_BYTES:])
    assert name in complaint(folder, root=root)


@pytest.mark.parametrize("seed", range(6))
def test_a_checkpoint_with_any_byte_changed_never_verifies(folder: Path, root: str, seed: int) -> None:
    for spoiled in one_byte_changed((folder / "checkpoint").read_bytes(), seed, 40):
        (folder / "checkpoint").write_bytes(spoiled)
        assert failed_step(folder, root=root) in ("checkpoint", "key validity")


@pytest.mark.parametrize("name", ["pith-log.json", "manifest.json"])
@pytest.mark.parametrize("seed", range(6))
def test_a_described_log_with_any_byte_changed_never_verifies(
    small_folder: Path, small: Log, name: str, seed: int
) -> None:
    raw = (small_folder / name).read_bytes()
    for spoiled in one_byte_changed(raw, seed, 25):
        (small_folder / name).write_bytes(spoiled)
        if failed_step(small_folder, root=root_of_log(small)) == "verified":
            assert json.loads(spoiled) == json.loads(raw)


def test_two_exchanged_bundles_are_named_by_their_first_position(folder: Path, root: str) -> None:
    one, other = (folder / name for name in (FULL_BUNDLE, "tile/entries/001"))
    raw = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(raw)
    assert f"{FULL_BUNDLE}, position 0" in complaint(folder, root=root)


Leaves = list[bytes]


def swap(leaves: Leaves) -> None:
    leaves[4], leaves[5] = leaves[5], leaves[4]


def double(leaves: Leaves) -> None:
    leaves[5] = leaves[4]


def backdate(leaves: Leaves) -> None:
    leaves[5] = bytes(8) + leaves[5][8:]


def drop_last(leaves: Leaves) -> None:
    del leaves[-1]


def add_one(leaves: Leaves) -> None:
    leaves.append(leaves[-1])


def lose_one(leaves: Leaves) -> None:
    leaves[5] = b""


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(swap, "inclusion", id="two entries swapped"),
        pytest.param(double, "inclusion", id="an entry twice"),
        pytest.param(backdate, "inclusion", id="an entry that came earlier"),
        pytest.param(lose_one, "inclusion", id="an entry without content"),
        pytest.param(drop_last, "tile", id="the last entry left out"),
        pytest.param(add_one, "tile", id="an entry too many"),
    ],
)
def test_spoiled_entries_fail_at_their_step(folder: Path, spoil: Callable[[Leaves], None], step: str) -> None:
    leaves = unpack_entries((folder / EDGE_BUNDLE).read_bytes(), 88)
    spoil(leaves)
    (folder / EDGE_BUNDLE).write_bytes(pack_entries(leaves))
    assert failed_step(folder) == step


# Its checkpoint and manifest.


@pytest.mark.parametrize("more_lines", STRANGERS_LINES, ids=lambda spoil: spoil.__name__)
def test_lines_of_strangers_under_the_checkpoint_are_passed_over(
    small_folder: Path, small: Log, more_lines: SpoilNote
) -> None:
    path = small_folder / "checkpoint"
    path.write_text(more_lines(path.read_text(), small.world))
    assert failed_step(small_folder, root=root_of_log(small)) == "verified"


@pytest.mark.parametrize(
    ("lie", "step"),
    [(lie, "checkpoint") for lie in FALSE_NOTES] + [(lie, "key validity") for lie in FOREIGN_NOTES],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_what_is_no_checkpoint_by_the_logs_key_fails(small_folder: Path, small: Log, lie: SpoilNote, step: str) -> None:
    path = small_folder / "checkpoint"
    path.write_bytes(lie(path.read_text(), small.world).encode())
    assert failed_step(small_folder, root=root_of_log(small)) == step


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("size", 3, "size"),
        ("size", "600", "canonical form"),
        ("size", None, "canonical form"),
        ("root", NO_ROOT, "root"),
        ("root", None, "root"),
        ("registry", "other.registry", "root"),
        ("registry", None, "canonical form"),
        ("registry", [], "canonical form"),
        ("registry", "no name", "canonical form"),
        ("state_digest", "0" * 64, "state"),
        ("state_digest", None, "state"),
        ("export_type", "something", "usage"),
        ("export_version", "1.0", "usage"),
        ("merge_version", "pith-ledger-merge-2", "usage"),
    ],
)
def test_a_spoiled_manifest_fails_at_its_step(small_folder: Path, name: str, value: object, step: str) -> None:
    (small_folder / "manifest.json").write_text(json.dumps({**manifest_of(small_folder), name: value}))
    assert failed_step(small_folder) == step


@pytest.mark.parametrize("name", ["export_version", "merge_version", "registry", "root", "size", "state_digest"])
def test_a_manifest_that_lacks_a_part_fails_at_the_canonical_form(small_folder: Path, name: str) -> None:
    manifest = manifest_of(small_folder)
    del manifest[name]
    (small_folder / "manifest.json").write_text(json.dumps(manifest))
    assert failed_step(small_folder) == "canonical form"


def test_a_state_that_the_log_does_not_have_is_told_beside_the_true_one(small_folder: Path) -> None:
    (small_folder / "manifest.json").write_text(json.dumps({**manifest_of(small_folder), "state_digest": "0" * 64}))
    assert "replaying gives" in complaint(small_folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identity_type", "something"),
        ("identity_version", "2.0"),
        ("origin", "other.registry/log"),
        ("root", NO_ROOT),
        ("log_key", WITNESS_KEY.format()),
        ("registry", "other.registry"),
        ("key_events", []),
        ("applause", True),
    ],
)
@pytest.mark.parametrize("pinned", [True, False])
def test_an_identity_that_is_not_the_logs_own_never_verifies(
    small_folder: Path, small: Log, name: str, value: object, pinned: bool
) -> None:
    path = small_folder / "pith-log.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), name: value}))
    root = root_of_log(small) if pinned else None
    assert failed_step(small_folder, root=root) in ("root", "canonical form")


def test_an_identity_may_be_spelled_otherwise(small_folder: Path, small: Log) -> None:
    (small_folder / "pith-log.json").write_text(json.dumps(as_read(identity(small.store)), indent=7))
    assert failed_step(small_folder, root=root_of_log(small)) == "verified"


# What the reader knows from elsewhere.


def test_an_export_under_another_root_fails(folder: Path) -> None:
    assert failed_step(folder, root=NO_ROOT) == "root"


@pytest.mark.parametrize(("pinned", "step"), [(False, "checkpoint"), (True, "key validity")])
def test_an_export_under_another_log_key_fails(
    folder: Path, tmp_path: Path, root: str, pinned: bool, step: str
) -> None:
    (tmp_path / "thief").mkdir()
    another = log_key_of(thiefs_log(tmp_path / "thief"))
    assert failed_step(folder, log_key=another, root=root if pinned else None) == step


def test_an_export_of_somebody_elses_log_of_the_same_name_fails_under_the_root(tmp_path: Path, root: str) -> None:
    thief = an_export(thiefs_log(tmp_path), tmp_path / "export")
    assert (failed_step(thief), failed_step(thief, root=root)) == ("verified", "root")


def test_somebody_elses_log_behind_the_true_identity_fails_at_the_key(folder: Path, tmp_path: Path, root: str) -> None:
    (tmp_path / "thief").mkdir()
    thief = an_export(thiefs_log(tmp_path / "thief"), tmp_path / "thief" / "export")
    shutil.copy(folder / "pith-log.json", thief / "pith-log.json")
    assert failed_step(thief, root=root) == "key validity"


def test_somebody_elses_log_under_the_true_checkpoint_fails_at_the_tile(
    small_folder: Path, small: Log, tmp_path: Path
) -> None:
    thief = thiefs_log(tmp_path)
    thief = with_citations(thief, small.store.head().size - thief.store.head().size)
    forged = an_export(thief, tmp_path / "forged")
    for name in ("pith-log.json", "checkpoint"):
        shutil.copy(small_folder / name, forged / name)
    assert failed_step(forged, root=root_of_log(small)) == "tile"


@pytest.mark.parametrize(("cosign", "step"), [(True, "verified"), (False, "quorum")])
def test_a_policy_says_who_must_have_cosigned_an_export(tmp_path: Path, cosign: bool, step: str) -> None:
    log = Log.opened(tmp_path)
    if cosign:
        cosigned(log)
    folder = an_export(log, tmp_path / "export")
    assert failed_step(folder, root=root_of_log(log), policy=policy_of(WITNESS_KEY)) == step
