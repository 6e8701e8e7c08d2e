"""The Merkle tree: every public proof vector, two computations of each root, and no altered proof accepted."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LogCorruptedError, UsageError, VerificationError
from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "rfc6962-merkle"
SMALL = 130
HUGE = 2**63 - 1


def vectors(kind: str) -> dict[str, dict[str, Any]]:
    """Return every vector of one kind under its name."""
    paths = sorted((VECTORS / kind).rglob("*.json"))
    return {str(path.relative_to(VECTORS / kind).with_suffix("")): json.loads(path.read_text()) for path in paths}


def each(cases: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def decoded(case: dict[str, Any], *names: str) -> list[bytes]:
    return [base64.b64decode(case[name]) for name in names]


def proof_of(case: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(sibling) for sibling in case["proof"] or []]


def fits(check: Callable[..., None], *arguments: Any) -> bool:
    """Say whether a check passes; any failure must be a verification error that names its step."""
    try:
        check(*arguments)
    except VerificationError as error:
        assert error.step == check.__name__.removeprefix("verify_")
        assert error.message
        return False
    return True


INCLUSION = vectors("inclusion")
CONSISTENCY = vectors("consistency")
SUBTREE_INCLUSION = vectors("subtreeinclusion")
SUBTREE_CONSISTENCY = vectors("subtreeconsistency")
FROM_THE_FIRST_LEAF = {name: case for name, case in SUBTREE_CONSISTENCY.items() if case["start"] == 0}
TWO_ROOTS_FOR_NOTHING = FROM_THE_FIRST_LEAF.pop(
    "additional/subtree-is-empty-sizes-are-equal-zero-subtree-root-valid-tree-root-random-proof-is-empty"
)


# A second verifier, transcribed from RFC 9162 word for word, and trees kept whole.


def rfc9162_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            if not fn & 1:
                while not (fn & 1 or fn == 0):
                    fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def rfc9162_consistency(first: int, second: int, first_hash: bytes, second_hash: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, for 0 < first < second."""
    if not path:
        return False
    if first & (first - 1) == 0:
        path = [first_hash, *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr = hashlib.sha256(b"\x01" + c + fr).digest()
            sr = hashlib.sha256(b"\x01" + c + sr).digest()
            if not fn & 1:
                while not (fn & 1 or fn == 0):
                    fn, sn = fn >> 1, sn >> 1
        else:
            sr = hashlib.sha256(b"\x01" + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    return fr == first_hash and sr == second_hash and sn == 0


LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(5000)]
ROOTS = [root_of(LEAVES[:size]) for size in range(SMALL + 1)]


def complete_rows(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return all perfect nodes, level by level, by pairing alone."""
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


ROWS = complete_rows(LEAVES)


def kept(level: int, index: int) -> bytes:
    return ROWS[level][index]


class Sparse:
    """A tree of any size whose leaves are all alike but for one; counts the nodes it was asked for."""

    def __init__(self, marked: int) -> None:
        self.marked, self.reads = marked, 0
        self.uniform, self.special = [leaf_hash(b"")], [leaf_hash(b"marked")]
        for level in range(64):
            left, right = self.uniform[level], self.special[level]
            self.uniform.append(node_hash(left, left))
            self.special.append(node_hash(right, left) if not marked >> level & 1 else node_hash(left, right))

    def node(self, level: int, index: int) -> bytes:
        self.reads += 1
        return (self.special if self.marked >> level == index else self.uniform)[level]


# Published vectors.


@each(INCLUSION)
def test_inclusion_vectors(case: dict[str, Any]) -> None:
    leaf, root = decoded(case, "leafHash", "root")
    found = fits(verify_inclusion, leaf, case["leafIdx"], case["treeSize"], proof_of(case), root)
    assert found is not case["wantErr"]


@each(CONSISTENCY)
def test_consistency_vectors(case: dict[str, Any]) -> None:
    old_root, new_root = decoded(case, "root1", "root2")
    found = fits(verify_consistency, case["size1"], case["size2"], old_root, new_root, proof_of(case))
    assert found is not case["wantErr"]


@each(SUBTREE_INCLUSION)
def test_subtree_inclusion_vectors_as_trees_of_their_own(case: dict[str, Any]) -> None:
    """A subtree that starts where its width allows is a tree; the suite refuses the others before hashing."""
    start, size = case["start"], case["end"] - case["start"]
    leaf, root = decoded(case, "leafHash", "root")
    aligned = size > 0 and start % (1 << (size - 1).bit_length()) == 0
    found = aligned and fits(verify_inclusion, leaf, case["leafIdx"] - start, size, proof_of(case), root)
    assert found is not case["wantErr"]


@each(FROM_THE_FIRST_LEAF)
def test_subtree_consistency_vectors_that_start_at_the_first_leaf(case: dict[str, Any]) -> None:
    old_root, new_root = decoded(case, "root1", "root2")
    found = fits(verify_consistency, case["end"], case["size"], old_root, new_root, proof_of(case))
    assert found is not case["wantErr"]


def test_all_vectors_are_there() -> None:
    assert list(map(len, (INCLUSION, CONSISTENCY, SUBTREE_INCLUSION, SUBTREE_CONSISTENCY))) == [98, 98, 204, 118]
    assert len(FROM_THE_FIRST_LEAF) == 101


@pytest.mark.parametrize(
    "name",
    [
        "sizes-are-equal-zero-and-proof-is-empty",
        "size1-is-zero-and-does-not-equal-size2",
        "size1-is-zero-and-size2-is-not-zero",
    ],
)
def test_three_vectors_from_size_zero_are_refused_for_their_roots_not_for_their_size(name: str) -> None:
    """The suite refuses every proof from size 0, a witness must accept it: these fail as their roots are no hashes."""
    case = CONSISTENCY[f"additional/{name}"]
    assert case["size1"] == 0 and case["proof"] == []
    old_root, new_root = decoded(case, "root1", "root2")
    with pytest.raises(VerificationError, match="a hash has 32 bytes"):
        verify_consistency(0, case["size2"], old_root, new_root, [])


def test_an_empty_tree_with_another_root_is_refused_although_the_subtree_suite_looks_away() -> None:
    """For an empty subtree that suite ignores the tree's root; a tree without leaves has one root only."""
    case = TWO_ROOTS_FOR_NOTHING
    assert (case["start"], case["end"], case["size"], case["wantErr"]) == (0, 0, 0, False)
    assert not fits(verify_consistency, 0, 0, *decoded(case, "root1", "root2"), [])


def test_the_eight_classical_leaves_have_their_known_root() -> None:
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    hashes = [leaf_hash(bytes.fromhex(data)) for data in inputs]
    assert root_of(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert root_of([]) == EMPTY_ROOT == Frontier().root() == hashlib.sha256().digest()


# Growing.


def test_a_frontier_has_the_recursive_root_at_every_size() -> None:
    frontier = Frontier()
    for size in range(SMALL):
        assert (frontier.size, frontier.root()) == (size, ROOTS[size])
        frontier.append(LEAVES[size])


@given(st.lists(st.integers(0, 300), max_size=8))
def test_growing_in_any_steps_gives_the_recursive_root_and_every_perfect_node_once(steps: list[int]) -> None:
    frontier = Frontier()
    found: list[list[bytes]] = [[] for _ in range(14)]
    for step in steps:
        before = frontier.size
        for level, row in enumerate(frontier.extend(LEAVES[before : before + step])):
            assert row.first == len(found[level]) == before >> level
            found[level] += row.hashes
    leaves = LEAVES[: sum(steps)]
    assert frontier.size == len(leaves)
    assert frontier.root() == root_of(leaves)
    assert [row for row in found if row] == [row for row in complete_rows(leaves) if row]


@given(st.integers(0, 600), st.integers(0, 600))
def test_a_written_frontier_grows_on_as_if_it_had_never_stopped(size: int, more: int) -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    again = Frontier.from_bytes(frontier.to_bytes())
    assert again.to_bytes() == frontier.to_bytes()
    again.extend(LEAVES[size : size + more])
    assert again.root() == root_of(LEAVES[: size + more])


def test_a_copy_grows_on_its_own() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:7])
    twin = frontier.copy()
    twin.append(LEAVES[7])
    assert (frontier.size, frontier.root()) == (7, ROOTS[7])
    assert (twin.size, twin.root()) == (8, ROOTS[8])


@given(st.binary(max_size=200))
def test_bytes_are_a_frontier_or_are_refused(raw: bytes) -> None:
    try:
        frontier = Frontier.from_bytes(raw)
    except LogCorruptedError:
        return
    assert frontier.to_bytes() == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(7),
        bytes(9),
        (3).to_bytes(8, "big") + bytes(32),
        (3).to_bytes(8, "big") + bytes(65),
        (2).to_bytes(8, "big") + bytes(64),
        (2**63).to_bytes(8, "big") + bytes(32),
    ],
)
def test_a_frontier_with_other_bytes_than_its_size_calls_for_is_corrupt(raw: bytes) -> None:
    with pytest.raises(LogCorruptedError):
        Frontier.from_bytes(raw)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33)])
def test_a_frontier_takes_nothing_but_hashes(wrong: bytes) -> None:
    frontier = Frontier()
    with pytest.raises(ValueError):
        frontier.append(wrong)
    with pytest.raises(ValueError):
        frontier.extend([LEAVES[0], wrong])
    assert (frontier.size, frontier.root()) == (0, EMPTY_ROOT)


# Proving.


def test_every_leaf_of_every_small_tree_is_proven() -> None:
    for size in range(1, SMALL + 1):
        assert tree_root(size, kept) == ROOTS[size]
        for index in range(size):
            proof = inclusion_proof(index, size, kept)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            assert rfc9162_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_every_growth_between_small_trees_is_proven() -> None:
    for new in range(SMALL + 1):
        for old in range(new + 1):
            proof = consistency_proof(old, new, kept)
            verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)
            assert old in (0, new) or rfc9162_consistency(old, new, ROOTS[old], ROOTS[new], proof)


@given(st.data())
def test_leaves_and_growth_of_trees_of_any_size_are_proven_from_few_nodes(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, HUGE))
    old = data.draw(st.integers(0, size))
    index = data.draw(st.integers(0, size - 1))
    tree = Sparse(index)
    old_root, root = tree_root(old, tree.node), tree_root(size, tree.node)
    tree.reads = 0
    proof = inclusion_proof(index, size, tree.node)
    assert tree.reads <= 2 * size.bit_length()
    assert len(proof) <= size.bit_length()
    verify_inclusion(leaf_hash(b"marked"), index, size, proof, root)
    tree.reads = 0
    growth = consistency_proof(old, size, tree.node)
    assert tree.reads <= 2 * size.bit_length() + 1
    assert len(growth) <= size.bit_length() + 1
    verify_consistency(old, size, old_root, root, growth)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, -1)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(UsageError, match="has no leaf"):
        inclusion_proof(index, size, kept)
    assert not fits(verify_inclusion, LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(3, 2), (1, 0), (-1, 3)])
def test_no_proof_is_made_that_a_tree_shrank(old: int, new: int) -> None:
    with pytest.raises(UsageError, match="no tree grows"):
        consistency_proof(old, new, kept)
    assert not fits(verify_consistency, old, new, ROOTS[old], ROOTS[new], [])


# Refusing.


def alterations(proof: Sequence[bytes]) -> list[list[bytes]]:
    """Return proofs that each differ from this one in one thing."""
    found = [[*proof[:at], extra, *proof[at:]] for at in range(len(proof) + 1) for extra in (bytes(32), LEAVES[-1])]
    for at, sibling in enumerate(proof):
        flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
        before, after = proof[:at], proof[at + 1 :]
        found += [[*before, *after], list(before), [*before, sibling, *proof[at:]]]
        found += [[*before, other, *after] for other in (flipped, sibling[:31], sibling + b"\0", b"")]
        if after and after[0] != sibling:
            found.append([*before, after[0], sibling, *after[1:]])
    return [altered for altered in found if altered != list(proof)]


def test_no_altered_inclusion_proof_is_accepted() -> None:
    for size in (1, 2, 3, 5, 7, 8, 13, 64, 100, 130):
        for index in range(size):
            proof = inclusion_proof(index, size, kept)
            for altered in alterations(proof):
                assert not fits(verify_inclusion, LEAVES[index], index, size, altered, ROOTS[size])
            assert not fits(verify_inclusion, LEAVES[index + 1], index, size, proof, ROOTS[size])
            assert not fits(verify_inclusion, LEAVES[index][:31], index, size, proof, ROOTS[size])


def test_no_altered_consistency_proof_is_accepted() -> None:
    for new in (1, 2, 3, 5, 7, 8, 13, 64, 100, 130):
        for old in range(new + 1):
            proof = consistency_proof(old, new, kept)
            for altered in alterations(proof):
                assert not fits(verify_consistency, old, new, ROOTS[old], ROOTS[new], altered)
            for wrong in (ROOTS[new - 1], LEAVES[-1], bytes(32), b""):
                assert wrong == ROOTS[old] or not fits(verify_consistency, old, new, wrong, ROOTS[new], proof)
                assert old == 0 or not fits(verify_consistency, old, new, ROOTS[old], wrong, proof)


def test_a_proof_of_one_leaf_and_size_is_none_of_another() -> None:
    for size in range(1, 34):
        for index in range(size):
            proof = inclusion_proof(index, size, kept)
            for other_size in range(1, 34):
                for other in range(other_size):
                    found = fits(verify_inclusion, LEAVES[index], other, other_size, proof, ROOTS[other_size])
                    assert found is ((other, other_size) == (index, size))


def test_a_proof_of_one_growth_is_none_of_another() -> None:
    sizes = [(old, new) for new in range(2, 26) for old in range(1, new)]
    for old, new in sizes:
        proof = consistency_proof(old, new, kept)
        for other_old, other_new in sizes:
            found = fits(verify_consistency, other_old, other_new, ROOTS[other_old], ROOTS[other_new], proof)
            assert found is ((other_old, other_new) == (old, new))


def test_a_root_alone_does_not_fix_the_size() -> None:
    """Why size and root must come from one signed checkpoint."""
    verify_inclusion(LEAVES[0], 0, 4, inclusion_proof(0, 3, kept), ROOTS[3])


hashes = st.sampled_from([*LEAVES[:3], *ROOTS[1:5], bytes(32)])


@given(hashes, st.integers(0, 20), st.integers(0, 20), st.lists(hashes, max_size=6), hashes)
def test_made_up_inclusion_proofs_are_judged_as_the_rfc_judges_them(
    leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes
) -> None:
    assert fits(verify_inclusion, leaf, index, size, proof, root) is rfc9162_inclusion(leaf, index, size, proof, root)


@given(st.data())
def test_damaged_proofs_are_judged_as_the_rfc_judges_them(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SMALL))
    old = data.draw(st.integers(1, new - 1))
    size = data.draw(st.sampled_from([new, new - 1, old]))
    shift = data.draw(st.integers(-1, 1))
    proof = data.draw(st.permutations(inclusion_proof(old, new, kept)) | st.just(inclusion_proof(old, new, kept)))
    arguments = (LEAVES[old], old + shift, size, proof, ROOTS[new])
    assert fits(verify_inclusion, *arguments) is rfc9162_inclusion(*arguments)
    growth = data.draw(st.permutations(consistency_proof(old, new, kept)) | st.just(consistency_proof(old, new, kept)))
    changed = (max(old + shift, 1), new, ROOTS[old], ROOTS[new], growth)
    if changed[0] < new:
        assert fits(verify_consistency, *changed) is rfc9162_consistency(*changed)


# From the empty tree.


def test_every_tree_extends_the_empty_one() -> None:
    for size in (0, 1, 5):
        verify_consistency(0, size, EMPTY_ROOT, ROOTS[size], [])


@pytest.mark.parametrize(
    ("size", "old_root", "new_root", "proof"),
    [
        (5, bytes(32), ROOTS[5], []),
        (5, b"", ROOTS[5], []),
        (5, EMPTY_ROOT, b"", []),
        (5, EMPTY_ROOT, ROOTS[5], [ROOTS[5]]),
        (0, EMPTY_ROOT, ROOTS[5], []),
        (0, ROOTS[5], ROOTS[5], []),
        (0, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT]),
    ],
)
def test_from_size_zero_nothing_is_accepted_but_the_empty_proof_from_the_empty_root(
    size: int, old_root: bytes, new_root: bytes, proof: list[bytes]
) -> None:
    assert not fits(verify_consistency, 0, size, old_root, new_root, proof)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (lambda: verify_inclusion(LEAVES[0], 5, 5, [], ROOTS[5]), "inclusion: a tree of 5 leaves has no leaf 5"),
        (
            lambda: verify_inclusion(LEAVES[0], 0, 5, [LEAVES[1]], ROOTS[5]),
            "inclusion: 3 hashes lead there, the proof has 1",
        ),
        (
            lambda: verify_inclusion(LEAVES[1], 0, 1, [], LEAVES[0]),
            f"inclusion: the proof leads to the root {LEAVES[1].hex()}, not {LEAVES[0].hex()}",
        ),
        (
            lambda: verify_consistency(4, 4, ROOTS[4], ROOTS[3], []),
            f"consistency: two roots for 4 leaves: {ROOTS[4].hex()} and {ROOTS[3].hex()}",
        ),
        (
            lambda: verify_consistency(3, 4, ROOTS[3], ROOTS[4], []),
            "consistency: 3 hashes lead there, the proof has 0",
        ),
    ],
)
def test_a_refusal_says_which_step_failed_and_why(check: Callable[[], None], reason: str) -> None:
    with pytest.raises(VerificationError) as refused:
        check()
    assert str(refused.value) == reason
