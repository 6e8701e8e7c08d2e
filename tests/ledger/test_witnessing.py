"""What a witness is asked: one spelling of a request, the log's own signature, and one growth of one tree."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import notes
from ledger.errors import UsageError
from ledger.merkle import MAX_SIZE
from ledger.notes import COSIGNATURE, ED25519, NoteSignature, SignedNote, Verifier
from ledger.witness_errors import (
    InconsistentTreeError,
    LogSignatureError,
    MalformedRequestError,
    RootConflictError,
    SizeConflictError,
    UnknownLogError,
)
from ledger.witnessing import (
    MAX_BODY_BYTES,
    MAX_PROOF,
    NOTHING,
    AddCheckpoint,
    Submitted,
    TreeHead,
    admit,
    by_origin,
    open_request,
    parse,
)
from tests.builders import key
from tests.witnesses import LOG, LOG_KEY, ORIGIN, WITNESS_KEY, Tree

TREE = Tree.of(21)
FORK = TREE.fork(5)
BODY = TREE.request(8, 15)
NOTE = TREE.note(15).format()
HASH = base64.b64encode(TREE.leaves[0])
LOGS = by_origin([LOG_KEY])


def malformed(body: bytes) -> str:
    with pytest.raises(MalformedRequestError) as refused:
        parse(body)
    assert refused.value.cure
    return refused.value.message


def submitted(tree: Tree, old: int, size: int, *, proof: tuple[bytes, ...] | None = None) -> Submitted:
    request = parse(tree.request(min(old, size), size))
    return open_request(AddCheckpoint(old, request.proof if proof is None else proof, request.note), LOGS)


def head(tree: Tree, size: int) -> TreeHead:
    return TreeHead(size, tree.root(size))


# --- the request ---------------------------------------------------------------------------


def test_a_request_is_its_lines() -> None:
    hashes = b"".join(base64.b64encode(hash) + b"\n" for hash in TREE.proof(8, 15))
    assert b"old 8\n" + hashes + b"\n" + NOTE == BODY
    assert parse(BODY) == AddCheckpoint(8, tuple(TREE.proof(8, 15)), TREE.note(15))


def test_a_first_request_has_no_proof() -> None:
    assert TREE.request(0, 15) == b"old 0\n\n" + NOTE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no empty line parts the proof from the checkpoint"),
        (b"old 8\n", "no empty line parts the proof from the checkpoint"),
        (b"\n\n", "is not `old` and a tree size"),
        (NOTE, "is not `old` and a tree size"),
        (b"\n" + NOTE, "is not `old` and a tree size"),
        (b"old 08\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old 00\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old -8\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old +8\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old 8_0\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old  8\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old\t8\n\n" + NOTE, "is not `old` and a tree size"),
        (b" old 8\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old 8 \n\n" + NOTE, "is not `old` and a tree size"),
        (b"old\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old \n\n" + NOTE, "is not `old` and a tree size"),
        (b"Old 8\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old 8.0\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old %d\n\n" % (MAX_SIZE + 1) + NOTE, "is not `old` and a tree size"),
        (b"old %d\n\n" % 10**40 + NOTE, "is not `old` and a tree size"),
        ("old \u0668\n\n".encode() + NOTE, "not ASCII"),
        (b"old \xff\n\n" + NOTE, "not ASCII"),
        (BODY.replace(b"\n", b"\r\n"), "no empty line parts the proof from the checkpoint"),
        (b"old 8\r\n\n" + NOTE, "is not `old` and a tree size"),
        (b"old 8\n" + HASH + b"\r\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + HASH + b" \n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + HASH[:-1] + b"\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + HASH + b"=\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + HASH[:-2] + bytes([HASH[-2] + 1]) + b"=\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + base64.b64encode(bytes(31)) + b"\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + base64.b64encode(bytes(33)) + b"\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + base64.urlsafe_b64encode(b"\xff" * 32) + b"\n\n" + NOTE, "is not the base64"),
        (b"old 8\n" + TREE.leaves[0].hex().encode() + b"\n\n" + NOTE, "is not the base64 of a 32-byte hash"),
        (b"old 8\n" + (HASH + b"\n") * (MAX_PROOF + 1) + b"\n" + NOTE, "a proof of 64 hashes, 63 are allowed"),
        (b"old 8\n" + NOTE, "is not the base64"),
        (b"old 8\n\n\n" + NOTE, "three or more lines"),
        (b"old 8\n\n", "no blank line"),
        (b"old 8\n\n" + NOTE[:-1], "has no end"),
        (b"old 8\n\n" + NOTE + b"\n", "has no end"),
        (b"old 8\n\n" + NOTE + b"and more\n", "is no signature line"),
        (b"old 8\n\n" + NOTE + b"\0", "has no end"),
        (b"old 8\n\n" + TREE.text(15).encode(), "no blank line"),
        (b"old 8\n\n" + TREE.text(15).encode() + b"\n", "has no end"),
        (b"old 8\n\n" + NOTE.replace(b"\n15\n", b"\n015\n"), "is no tree size"),
        (b"old 8\n\n" + NOTE.replace(b"\n15\n", b"\n15\r\n"), r"holds U+000D"),
        (b"old 8\n\n\xff" + NOTE, "not UTF-8"),
        (b"old 8\n\n" + NOTE + NOTE.rpartition(b"\n\n")[2] * 100, "more than 100 signatures"),
        (b"old 0\n\n" + b"x" * MAX_BODY_BYTES, "are allowed"),
    ],
)
def test_a_request_has_one_spelling(body: bytes, reason: str) -> None:
    assert reason in malformed(body)


def test_a_proof_of_63_hashes_is_read() -> None:
    assert len(parse(b"old 8\n" + (HASH + b"\n") * MAX_PROOF + b"\n" + NOTE).proof) == MAX_PROOF


def test_a_request_that_no_witness_would_take_is_not_written() -> None:
    request = parse(BODY)
    for wrong in (
        AddCheckpoint(-1, (), request.note),
        AddCheckpoint(MAX_SIZE + 1, (), request.note),
        AddCheckpoint(8, (bytes(31),), request.note),
        AddCheckpoint(8, (bytes(32),) * (MAX_PROOF + 1), request.note),
    ):
        with pytest.raises(MalformedRequestError):
            wrong.format()


@given(st.integers(0, len(BODY) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_changed_request_is_refused_or_another_in_its_one_spelling(at: int, inserted: bytes, dropped: int) -> None:
    body = BODY[:at] + inserted + BODY[at + dropped :]
    try:
        request = parse(body)
    except MalformedRequestError:
        return
    assert request.format() == body


@given(st.integers(0, len(BODY) - 1))
def test_no_part_of_a_request_is_one(length: int) -> None:
    assert malformed(BODY[:length])


# --- who signed ----------------------------------------------------------------------------


def opened(*lines: NoteSignature, tree: Tree = TREE, logs: list[Verifier] | None = None) -> Submitted:
    note = SignedNote(tree.text(15), lines)
    return open_request(AddCheckpoint(8, tuple(tree.proof(8, 15)), note), by_origin(logs or [LOG_KEY]))


def line_of(tree: Tree, name: str = ORIGIN) -> NoteSignature:
    return notes.sign(tree.text(15), name, tree.key)


def test_a_checkpoint_of_a_log_that_is_not_followed_is_refused() -> None:
    other = Tree.of(21, origin="log.example/two")
    with pytest.raises(UnknownLogError, match=r"'log.example/two' is not followed here"):
        opened(line_of(other, other.origin), tree=other)
    with pytest.raises(UnknownLogError):
        open_request(parse(BODY), {})


def test_a_log_cannot_sign_for_another() -> None:
    mallory = key("mallory")
    theirs = Tree.of(21, origin=ORIGIN, key=mallory)
    logs = [LOG_KEY, Verifier("log.example/mallory", ED25519, mallory.public_key)]
    for name in (ORIGIN, "log.example/mallory"):
        with pytest.raises(LogSignatureError, match="no key that is trusted"):
            opened(line_of(theirs, name), tree=theirs, logs=logs)


def test_lines_by_unknown_keys_are_ignored_and_left_out() -> None:
    own = line_of(TREE)
    unknown = [
        NoteSignature("stranger.example", b"1234", b"not even a signature"),
        NoteSignature(ORIGIN, b"1234", bytes(64)),
        NoteSignature("stranger.example", LOG_KEY.key_hash, bytes(64)),
        notes.cosign(TREE.text(15), "witness.example/w2", key("w2"), 1),
    ]
    assert opened(*unknown, own, *unknown).note == SignedNote(TREE.text(15), (own,))
    with pytest.raises(LogSignatureError, match="no key that is trusted"):
        opened(*unknown)


def test_a_line_that_is_there_twice_counts_once() -> None:
    own = line_of(TREE)
    assert opened(own, own).note.signatures == (own,)


def test_a_known_key_whose_signature_does_not_hold_spoils_the_note() -> None:
    own = line_of(TREE)
    for wrong in (bytes(64), own.signature[:-1], line_of(FORK).signature):
        bad = NoteSignature(own.name, own.key_hash, wrong)
        for lines in ([bad], [own, bad], [bad, own]):
            with pytest.raises(LogSignatureError, match="does not hold"):
                opened(*lines)


def test_any_key_of_a_log_may_sign() -> None:
    second = key("the log's second key")
    logs = [LOG_KEY, Verifier(ORIGIN, ED25519, second.public_key)]
    own, other = line_of(TREE), notes.sign(TREE.text(15), ORIGIN, second)
    for lines in ((own,), (other,), (other, own)):
        assert opened(*lines, logs=logs).note.signatures == lines


def test_a_log_key_signs_plainly_and_is_given_once() -> None:
    with pytest.raises(UsageError, match="is no log's key"):
        by_origin([WITNESS_KEY])
    with pytest.raises(UsageError, match=r"two keys of log.example/one have the hash"):
        by_origin([LOG_KEY, LOG_KEY])
    assert by_origin([LOG_KEY, Verifier("two", ED25519, LOG.public_key)]).keys() == {ORIGIN, "two"}


def test_a_cosignature_by_the_logs_key_is_not_the_logs_signature() -> None:
    with pytest.raises(LogSignatureError, match="no key that is trusted"):
        opened(notes.cosign(TREE.text(15), ORIGIN, LOG, 1))
    assert Verifier(ORIGIN, COSIGNATURE, LOG.public_key).key_hash != LOG_KEY.key_hash


# --- the decision --------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 21), (1, 2), (3, 8), (8, 15), (8, 16), (15, 15), (20, 21)])
def test_a_tree_that_grew_is_admitted(old: int, size: int) -> None:
    admit(submitted(TREE, old, size), head(TREE, old) if old else NOTHING)


def test_an_empty_tree_is_admitted_before_anything_else() -> None:
    admit(submitted(TREE, 0, 0), NOTHING)


@pytest.mark.parametrize(("old", "latest"), [(8, 9), (8, 7), (8, 15), (0, 8), (8, 0), (14, 16), (15, 20)])
def test_another_old_size_than_the_latest_is_a_conflict_that_names_it(old: int, latest: int) -> None:
    with pytest.raises(SizeConflictError) as refused:
        admit(submitted(TREE, old, 15), head(TREE, latest))
    assert refused.value.known_size == latest


def test_an_old_size_beyond_the_checkpoints_is_no_request() -> None:
    for latest in (NOTHING, head(TREE, 15), head(TREE, 16)):
        with pytest.raises(MalformedRequestError, match="the old size 16 is greater than the checkpoint's, 15"):
            admit(submitted(TREE, 16, 15, proof=()), latest)


def test_a_size_has_one_root() -> None:
    with pytest.raises(RootConflictError, match="a tree of 15 entries has the root"):
        admit(submitted(FORK, 15, 15), head(TREE, 15))


def test_the_empty_tree_has_one_root() -> None:
    text = f"{ORIGIN}\n0\n{base64.b64encode(TREE.leaves[0]).decode()}\n"
    request = AddCheckpoint(0, (), SignedNote(text, (notes.sign(text, ORIGIN, LOG),)))
    with pytest.raises(RootConflictError, match="a tree of 0 entries has the root"):
        admit(open_request(request, LOGS), NOTHING)


PROOF = TREE.proof(7, 21)


@pytest.mark.parametrize(
    "proof",
    [
        (),
        PROOF[:-1],
        PROOF[1:],
        PROOF[::-1],
        [PROOF[1], PROOF[0], *PROOF[2:]],
        [*PROOF, PROOF[-1]],
        [*PROOF, bytes(32)],
        [bytes(32), *PROOF[1:]],
        TREE.proof(6, 21),
        TREE.proof(8, 21),
        TREE.proof(7, 20),
        FORK.proof(7, 21),
        [TREE.root(7), *PROOF],
    ],
)
def test_a_proof_that_does_not_lead_from_one_tree_to_the_other_is_refused(proof: list[bytes]) -> None:
    admit(submitted(TREE, 7, 21), head(TREE, 7))
    with pytest.raises(InconsistentTreeError) as refused:
        admit(submitted(TREE, 7, 21, proof=tuple(proof)), head(TREE, 7))
    assert refused.value.cure


def test_a_fork_is_refused_with_its_own_right_proof() -> None:
    with pytest.raises(InconsistentTreeError, match="leads to the old root"):
        admit(submitted(FORK, 7, 21), head(TREE, 7))


def test_nothing_is_proven_from_the_empty_tree_or_to_the_same_size() -> None:
    for old, latest in ((0, NOTHING), (15, head(TREE, 15))):
        with pytest.raises(InconsistentTreeError):
            admit(submitted(TREE, old, 15, proof=(bytes(32),)), latest)


@given(st.integers(0, 21), st.integers(0, 21), st.integers(0, 21), st.booleans())
def test_only_a_tree_that_holds_the_latest_one_is_admitted(latest: int, old: int, size: int, forked: bool) -> None:
    tree = FORK if forked else TREE
    try:
        admit(submitted(tree, old, size), head(TREE, latest))
    except (MalformedRequestError, SizeConflictError, RootConflictError, InconsistentTreeError):
        assert old != latest or size < latest or tree.leaves[:latest] != TREE.leaves[:latest]
    else:
        assert old == latest <= size
        assert tree.leaves[:latest] == TREE.leaves[:latest]
