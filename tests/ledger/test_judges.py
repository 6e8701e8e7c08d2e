"""What we publish, judged by an implementation that is not ours (tlog-scales), and what it publishes, judged by us."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import MLDSA44CosignatureSigner, PlainEd25519Signer, Vkey, VkeySet
from tlog_scales.tiles import leaf_hash as their_leaf_hash
from tlog_scales.tlog import Checkpoint as TheirCheckpoint
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid
from tlog_scales.writer import TilesWriter

from ledger import notes, tlog_proof
from ledger.checkpoint_store import SignedCheckpoint
from ledger.checkpoints import open_checkpoint
from ledger.log_keys import log_verifier
from ledger.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.notes import ED25519, Verifier, parse_verifier
from ledger.proofs import receipts
from ledger.tiles import ENTRIES, Tile, unpack_entries
from ledger.verified_tiles import VerifiedTiles
from ledger.witnessing import AddCheckpoint
from ops.export import export
from ops.home import Home
from tests.builders import key
from tests.ops.homes import SAMPLES, a_home, imported
from tests.witnesses import NOW, a_witness


@dataclass(frozen=True, slots=True)
class Published:
    """A log of real papers, an early checkpoint of it and its newest with everything published beside it."""

    home: Home
    early: SignedCheckpoint
    newest: SignedCheckpoint
    folder: Path
    witnesses: tuple[Verifier, ...]

    @property
    def size(self) -> int:
        return self.newest.size

    def reader(self) -> TilesReader:
        """Return the judge's reader of the published files."""
        found = TilesReader(LocalBackend(self.folder))
        found.get_checkpoint()
        return found


def sign(home: Home) -> SignedCheckpoint:
    checkpoints = home.store.checkpoints
    signed = checkpoints.sign(home.signatory("log").key, home.clock())
    checkpoints.publish(signed.size)
    return signed


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    home = a_home(folder / "home")
    papers = gzip.decompress((SAMPLES / "papers.jsonl.gz").read_bytes()).splitlines(keepends=True)
    imported(home, b"".join(papers[:120]), "first.jsonl")
    early = sign(home)
    imported(home, b"".join(papers[120:310]), "second.jsonl")
    imported(home, b"".join(papers[310:]), "third.jsonl")
    newest = sign(home)
    log_key = log_verifier(home.store.registry_name, home.signatory("log").key.public_key)
    witnesses = []
    for name in ("witness.example/w1", "witness.example/w2"):
        witness = a_witness(folder / name, [log_key], name=name, by=key(name))
        note = notes.parse(newest.note)
        answer = witness.add_checkpoint(AddCheckpoint(0, (), note).format(), NOW)
        (line,) = notes.parse(f"{note.text}\n".encode() + answer).signatures
        home.store.checkpoints.add_cosignatures(newest.size, {witness.verifier: line})
        witnesses.append(witness.verifier)
    export(home.store, folder / "export", home.store.checkpoints.published(), "", lambda _: None)
    yield Published(home, early, home.store.checkpoints.published(), folder / "export", tuple(witnesses))
    home.close()


@pytest.fixture(scope="module")
def reader(published: Published) -> TilesReader:
    return published.reader()


def stated_key(published: Published) -> str:
    """Return the log's key as the published identity gives it."""
    found = json.loads((published.folder / "pith-log.json").read_bytes())["log_key"]
    assert isinstance(found, str)
    return found


def steps(size: int) -> list[int]:
    """Return sizes around every border of a tile, and some between."""
    borders = {near for border in range(0, size + 1, 256) for near in (border - 1, border, border + 1)}
    return sorted(at for at in borders | set(range(1, size, 37)) | {size - 1, size} if 0 < at <= size)


# Our checkpoint.


def test_the_log_grew_over_the_border_of_a_full_tile(published: Published) -> None:
    assert (published.early.size, published.size) == (125, 505)


def test_our_key_is_read_and_written_alike(published: Published) -> None:
    assert Vkey.from_string(stated_key(published)).serialize() == stated_key(published)


def test_our_key_hash_is_computed_alike(published: Published) -> None:
    ours = parse_verifier(stated_key(published))
    theirs = Vkey(ours.name, None, ED25519, ours.public_key)
    assert theirs.key_id.to_bytes(4, "big") == ours.key_hash


def test_our_checkpoint_opens_with_our_key(published: Published, reader: TilesReader) -> None:
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(stated_key(published)))
    assert (checkpoint.size, checkpoint.root_hash) == (published.size, published.newest.root)


def test_our_checkpoint_is_written_alike(published: Published, reader: TilesReader) -> None:
    assert reader.get_checkpoint().serialize().encode() == published.newest.note


def test_our_witnesses_cosignatures_are_accepted(published: Published, reader: TilesReader) -> None:
    checkpoint = reader.get_checkpoint()
    keys = VkeySet(*(Vkey.from_string(witness.format()) for witness in published.witnesses))
    found = {vkey.name for vkey, _ in keys.verify(checkpoint.signatures, checkpoint)}
    assert found == {"witness.example/w1", "witness.example/w2"}


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_line_of_our_checkpoint_is_refused(published: Published, tmp_path: Path, line: int) -> None:
    lines = published.newest.note.decode().split("\n")
    lines[line] = {0: "other.registry/log", 1: str(published.size - 1), 2: f"A{lines[2][1:]}"}[line]
    (tmp_path / "checkpoint").write_text("\n".join(lines))
    tampered = TilesReader(LocalBackend(tmp_path)).get_checkpoint()
    with pytest.raises(InvalidSignature):
        tampered.verify(Vkey.from_string(stated_key(published)))


# Our tiles.


def test_our_files_lead_to_our_root(published: Published, reader: TilesReader) -> None:
    assert reader.calculate_root_hash() == published.newest.root


def test_our_files_lead_to_our_earlier_root(published: Published, reader: TilesReader) -> None:
    assert reader.mth(0, published.early.size) == published.early.root


def test_every_entry_is_read_as_it_was_signed(published: Published, reader: TilesReader) -> None:
    entries = [entry.leaf() for entry in published.home.store.entries()]
    assert [reader.get_entry(position) for position in range(published.size)] == entries


def test_every_entry_hashes_to_its_leaf(published: Published, reader: TilesReader) -> None:
    leaves = [their_leaf_hash(reader.get_entry(position)) for position in range(published.size)]
    assert leaves == [reader.mth(position, position + 1) for position in range(published.size)]


@pytest.mark.parametrize(("tile", "position"), [(Tile(0, 0), 254), (Tile(0, 1, 249), 0), (Tile(1, 0, 1), 504)])
def test_a_changed_tile_proves_nothing_under_our_root(
    published: Published, tmp_path: Path, tile: Tile, position: int
) -> None:
    copy = Path(shutil.copytree(published.folder, tmp_path / "export"))
    data = (copy / tile.path()).read_bytes()
    (copy / tile.path()).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    tampered = TilesReader(LocalBackend(copy))
    tampered.get_checkpoint()
    proof = tampered.get_inclusion_proof(position, published.size)
    with pytest.raises(InclusionProofInvalid):
        proof.check(their_leaf_hash(tampered.get_entry(position)), published.newest.root)


# Our proofs.


def test_our_inclusion_proofs_are_those_made_from_our_files(published: Published, reader: TilesReader) -> None:
    with published.home.store.tree.nodes() as node:
        ours = [inclusion_proof(position, published.size, node) for position in range(published.size)]
    theirs = [reader.get_inclusion_proof(position, published.size) for position in range(published.size)]
    assert ours == [proof.node_hashes for proof in theirs]


def test_our_consistency_proofs_are_those_made_from_our_files(published: Published, reader: TilesReader) -> None:
    with published.home.store.tree.nodes() as node:
        ours = [consistency_proof(old, published.size, node) for old in steps(published.size)]
    theirs = [reader.get_consistency_proof(old, published.size) for old in steps(published.size)]
    assert ours == [proof.node_hashes for proof in theirs]


def test_our_proofs_at_earlier_sizes_are_those_made_from_our_files(published: Published, reader: TilesReader) -> None:
    with published.home.store.tree.nodes() as node:
        ours = [inclusion_proof(size - 1, size, node) for size in steps(published.size)]
    assert ours == [reader.get_inclusion_proof(size - 1, size).node_hashes for size in steps(published.size)]


def test_our_inclusion_proofs_are_accepted(published: Published) -> None:
    for entry in published.home.store.entries():
        path = published.home.store.tree.inclusion_proof(entry.position, published.size)
        proof = InclusionProof(entry.position, published.size, path)
        proof.check(their_leaf_hash(entry.leaf()), published.newest.root)


def test_our_consistency_proof_between_signed_checkpoints_is_accepted(published: Published) -> None:
    early, newest = published.early, published.newest
    path = published.home.store.tree.consistency_proof(early.size, newest.size)
    ConsistencyProof(early.size, newest.size, path).check(early.root, newest.root)


def test_our_consistency_proof_does_not_pass_for_another_root(published: Published) -> None:
    early, newest = published.early, published.newest
    path = published.home.store.tree.consistency_proof(early.size, newest.size)
    with pytest.raises(ConsistencyProofInvalid):
        ConsistencyProof(early.size, newest.size, path).check(newest.root, newest.root)


@pytest.mark.parametrize("position", [0, 1, 255, 256, 500])
def test_our_proof_files_are_accepted(published: Published, position: int) -> None:
    entry = published.home.store.entry(position)
    proof = tlog_proof.parse(receipts.inclusion(published.home.store, entry))
    checkpoint = TheirCheckpoint.from_text(proof.checkpoint.decode())
    checkpoint.verify(Vkey.from_string(stated_key(published)))
    theirs = InclusionProof(proof.index, checkpoint.size, list(proof.hashes))
    theirs.check(their_leaf_hash(proof.extra), checkpoint.root_hash)


# Their log.

THEIR_ORIGIN = "their.example/log"
SIZES = (1, 200, 256, 700)


@dataclass(frozen=True, slots=True)
class Theirs:
    """A log that tlog-scales wrote, with its checkpoint at each size on the way."""

    folder: Path
    log_key: Verifier
    notes: dict[int, bytes]

    def read(self, tile: Tile) -> bytes:
        return (self.folder / tile.path()).read_bytes()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    folder = tmp_path_factory.mktemp("theirs") / "log"
    signer = PlainEd25519Signer(THEIR_ORIGIN, key("their log").seed())
    witness = MLDSA44CosignatureSigner("witness.example/mldsa", MLDSA44PrivateKey.from_seed_bytes(bytes(32)))
    writer = TilesWriter.create(folder, THEIR_ORIGIN)
    found = {}
    for size in SIZES:
        for position in range(writer.size, size):
            writer.add_leaf(b"their entry %d" % position)
        writer.commit([signer, witness], gc=False)
        found[size] = (folder / "checkpoint").read_bytes()
    return Theirs(folder, parse_verifier(signer.vkey.serialize()), found)


@pytest.mark.parametrize("size", SIZES)
def test_their_checkpoint_opens_and_is_written_alike(theirs: Theirs, size: int) -> None:
    opened = open_checkpoint(theirs.notes[size], THEIR_ORIGIN, theirs.log_key)
    assert opened.checkpoint.size == size
    assert opened.note.format() == theirs.notes[size]


@pytest.mark.parametrize("size", SIZES)
def test_their_tiles_lead_to_their_root(theirs: Theirs, size: int) -> None:
    checkpoint = open_checkpoint(theirs.notes[size], THEIR_ORIGIN, theirs.log_key).checkpoint
    tiles = VerifiedTiles(size, checkpoint.root, theirs.read)
    for index in range(-(-size // 256)):
        width = min(size - index * 256, 256)
        entries = unpack_entries(theirs.read(Tile(ENTRIES, index, width)), width)
        assert [leaf_hash(entry) for entry in entries] == tiles.hashes(0, index)


def test_their_proofs_are_accepted(theirs: Theirs) -> None:
    reader = TilesReader(LocalBackend(theirs.folder))
    root = reader.get_checkpoint().root_hash
    for position in range(0, 700, 23):
        path = reader.get_inclusion_proof(position, 700).node_hashes
        verify_inclusion(leaf_hash(reader.get_entry(position)), position, 700, path, root)


@pytest.mark.parametrize("old", SIZES)
def test_their_growth_is_accepted(theirs: Theirs, old: int) -> None:
    reader = TilesReader(LocalBackend(theirs.folder))
    root = reader.get_checkpoint().root_hash
    old_root = open_checkpoint(theirs.notes[old], THEIR_ORIGIN, theirs.log_key).checkpoint.root
    verify_consistency(old, 700, old_root, root, reader.get_consistency_proof(old, 700).node_hashes)
