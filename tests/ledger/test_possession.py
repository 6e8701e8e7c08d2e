"""Proofs of possession: what a challenge chooses, what an answer must show, and every way of cheating at it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import canonical
from ledger.chunks import CHUNK_BYTES, ChunkTree, chunk_count, chunk_tree
from ledger.errors import InvalidFieldError, VerificationError, WeakKeyError
from ledger.keys import SecretKey, encode_signature
from ledger.merkle import leaf_hash, root_of
from ledger.possession import (
    CHOSEN,
    MAX_ANSWER_BYTES,
    Challenge,
    Deposit,
    answer,
    format_location,
    is_shown_whole,
    parse_location,
    verify_answer,
)
from tests.builders import key
from tests.holders import ADDRESS, HOLDER, ROOT, Held, a_file

LONG = Held(a_file(40 * CHUNK_BYTES + 5))
SHORT = Held(a_file(100))
OTHER_ROOT = sha256(b"the root of a later checkpoint").digest()
SMALL_ORDER = bytes([1]) + bytes(31)
LENGTHS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES, 17 * CHUNK_BYTES, 40 * CHUNK_BYTES + 5]


def verified(raw: bytes, held: Held = LONG, root: bytes = ROOT, holder: SecretKey = HOLDER) -> dict[str, Any]:
    return verify_answer(raw, held.challenge(root, holder), held.deposit, 7)


def step(raw: bytes, held: Held = LONG, root: bytes = ROOT) -> str:
    with pytest.raises(VerificationError) as refused:
        verified(raw, held, root)
    assert len(str(refused.value)) < 1_000 and str(refused.value).isprintable()
    return refused.value.step


def resigned(raw: bytes, change: Callable[[dict[str, Any]], object], by: SecretKey = HOLDER) -> bytes:
    """Return an answer in which its holder changed something before signing it."""
    value = json.loads(raw)["answer"]
    change(value)
    given = canonical.encode(value)
    digest = LONG.challenge().signed(sha256(given).digest())
    signature = encode_signature(by.sign_possession(digest))
    return canonical.encode({"answer": value, "signature_b64": signature})


# The tree.


@pytest.mark.parametrize("length", LENGTHS)
def test_the_chunk_root_is_that_of_rfc_6962_over_the_chunks(length: int) -> None:
    content = a_file(length)
    leaves = [leaf_hash(content[at : at + CHUNK_BYTES]) for at in range(0, max(length, 1), CHUNK_BYTES)]
    assert len(leaves) == chunk_count(length)
    assert chunk_tree([content]).root() == root_of(leaves)


@given(st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=8))
def test_the_chunk_root_does_not_depend_on_the_pieces_in_which_a_file_comes(lengths: list[int]) -> None:
    content = a_file(sum(lengths))
    pieces, at = [], 0
    for length in lengths:
        pieces.append(content[at : at + length])
        at += length
    assert chunk_tree(pieces).root() == chunk_tree([content]).root()


def test_an_empty_file_is_one_empty_chunk() -> None:
    assert chunk_tree([]).root() == leaf_hash(b"")
    assert Held(b"").challenge().chosen(0) == [0]


# What a challenge chooses.


def test_the_challenge_is_what_the_protocol_says() -> None:
    parts = b"pith-possession-challenge/1\n" + ROOT + HOLDER.public_key + LONG.deposit.sha256
    assert LONG.challenge().digest() == sha256(parts).digest()


def test_the_choice_is_frozen() -> None:
    """Whoever checks the log in years to come must draw the same chunks."""
    challenge = Challenge(bytes(32), bytes([1]) * 32, bytes([2]) * 32)
    words: list[int] = []
    for counter in range(4):
        block = sha256(challenge.digest() + counter.to_bytes(8, "big")).digest()
        words += [int.from_bytes(block[at : at + 8], "big") for at in range(0, 32, 8)]
    drawn = list(dict.fromkeys(word % 1_000 for word in words))[:CHOSEN]
    assert challenge.chosen(1_000 * CHUNK_BYTES) == sorted(drawn)
    frozen = [63, 163, 187, 241, 259, 446, 538, 607, 708, 710, 736, 789, 809, 832, 908, 956]
    assert challenge.chosen(1_000 * CHUNK_BYTES) == frozen


def test_words_that_would_favour_some_chunks_are_passed_over() -> None:
    """Of 3 * 2^62 chunks the last quarter of all words would choose the first third a second time."""
    count = 3 << 62
    blocks = [sha256(LONG.challenge().digest() + counter.to_bytes(8, "big")).digest() for counter in range(20)]
    words = [int.from_bytes(block[at : at + 8], "big") for block in blocks for at in range(0, 32, 8)]
    fair = [word for word in words if word < count]
    assert words[:CHOSEN] != fair[:CHOSEN]
    assert LONG.challenge().chosen(count * CHUNK_BYTES) == sorted(fair[:CHOSEN])


@pytest.mark.parametrize("count", [1, 2, 15, 16])
def test_a_short_file_is_shown_whole(count: int) -> None:
    assert SHORT.challenge().chosen(count * CHUNK_BYTES) == list(range(count))


@given(st.binary(min_size=32, max_size=32), st.integers(17, 10_000_000_000))
def test_sixteen_chunks_of_a_long_file_are_chosen_once_each(root: bytes, count: int) -> None:
    chosen = Challenge(root, HOLDER.public_key, LONG.deposit.sha256).chosen(count * CHUNK_BYTES)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == CHOSEN
    assert all(0 <= index < count for index in chosen)


def test_every_chunk_is_chosen_as_often_as_any_other() -> None:
    rounds, count = 4_000, 24
    seen: Counter[int] = Counter()
    for number in range(rounds):
        root = sha256(f"root {number}".encode()).digest()
        seen.update(Challenge(root, bytes(32), bytes(32)).chosen(count * CHUNK_BYTES))
    expected = rounds * CHOSEN / count
    # The draws are fixed by the roots; a bias of one part in twenty would be far outside.
    assert all(abs(seen[index] - expected) < 0.05 * expected for index in range(count))


def test_a_loss_is_missed_as_seldom_as_promised() -> None:
    count, lost, rounds = 100, 10, 2_000
    missed = sum(
        all(index >= lost for index in Challenge(sha256(b"%d" % n).digest(), bytes(32), bytes(32)).chosen(count << 16))
        for n in range(rounds)
    )
    probability = comb(count - lost, CHOSEN) / comb(count, CHOSEN)
    assert probability < (1 - lost / count) ** CHOSEN
    assert abs(missed / rounds - probability) < 0.03


@pytest.mark.parametrize("at", range(3))
def test_another_checkpoint_key_or_file_chooses_other_chunks(at: int) -> None:
    parts = [ROOT, HOLDER.public_key, LONG.deposit.sha256]
    length = 10_000 * CHUNK_BYTES
    before = Challenge(*parts).chosen(length)
    parts[at] = sha256(parts[at]).digest()
    assert Challenge(*parts).chosen(length) != before


@pytest.mark.parametrize("at", range(3))
def test_a_challenge_of_parts_that_could_run_into_each_other_is_none(at: int) -> None:
    parts = [ROOT, HOLDER.public_key, LONG.deposit.sha256]
    parts[at] += b"\0"
    with pytest.raises(ValueError, match="32 bytes"):
        Challenge(*parts)


# Honest answers.


@pytest.mark.parametrize("length", LENGTHS)
def test_who_has_the_file_answers(length: int) -> None:
    held = Held(a_file(length))
    raw = held.answer()
    assert len(raw) <= MAX_ANSWER_BYTES
    found = verified(raw, held)
    assert found == {
        "tree_size": 7,
        "checkpoint_root": ROOT.hex(),
        "holder_key": HOLDER.public_key.hex(),
        "chunks": held.challenge().chosen(length),
        "answer_sha256": sha256(canonical.encode(json.loads(raw)["answer"])).hexdigest(),
        "signature_b64": json.loads(raw)["signature_b64"],
    }


def test_the_longest_answer_is_within_the_limit() -> None:
    chunk = {"index": 2**53 - 1, "data_b64": base64.b64encode(bytes(CHUNK_BYTES)).decode(), "path": ["0" * 64] * 64}
    value = json.loads(SHORT.answer())
    value["answer"]["chunks"] = [chunk] * CHOSEN
    assert len(canonical.encode(value)) <= MAX_ANSWER_BYTES


def test_an_answer_has_one_spelling() -> None:
    raw = LONG.answer()
    assert LONG.answer() == raw
    assert step(json.dumps(json.loads(raw)).encode()) == "answer"


# Cheating.


def with_loss(held: Held, index: int, fill: bytes) -> bytes:
    """Answer as a holder who kept the tree and lost one chunk."""
    return answer(HOLDER, ROOT, held.deposit, held.tree, lambda at: fill if at == index else held.chunk(at))


def test_a_holder_who_lost_one_chosen_chunk_cannot_answer() -> None:
    lost = LONG.challenge().chosen(LONG.deposit.length)[3]
    assert step(with_loss(LONG, lost, bytes(CHUNK_BYTES))) == "inclusion"
    assert step(with_loss(LONG, lost, b"")) == "chunks"
    assert step(with_loss(LONG, lost, LONG.chunk(lost) + b"x")) == "chunks"


def test_a_changed_last_chunk_is_noticed() -> None:
    assert step(with_loss(SHORT, 0, bytes(100)), SHORT) == "inclusion"
    assert step(with_loss(SHORT, 0, SHORT.chunk(0)[:-1]), SHORT) == "chunks"


def test_a_tree_of_the_holders_own_making_does_not_lead_to_the_recorded_root() -> None:
    lost = LONG.challenge().chosen(LONG.deposit.length)[0]
    content = bytearray(LONG.content)
    content[lost * CHUNK_BYTES] ^= 1
    forged = Held(bytes(content))
    raw = answer(HOLDER, ROOT, LONG.deposit, forged.tree, forged.chunk)
    assert step(raw) == "inclusion"


def test_chunks_that_were_recorded_for_another_hash_do_not_make_a_file_that_is_shown_whole() -> None:
    """Who deposits may write any chunk root beside a SHA-256; only the bytes tie the two."""
    famous = sha256(b"a file that somebody else has").digest()
    false = Deposit(famous, SHORT.deposit.length, SHORT.deposit.chunk_root)
    challenge = Challenge(ROOT, HOLDER.public_key, famous)
    raw = answer(HOLDER, ROOT, false, SHORT.tree, SHORT.chunk)
    with pytest.raises(VerificationError) as refused:
        verify_answer(raw, challenge, false, 7)
    assert refused.value.step == "chunks"


@pytest.mark.parametrize("length", [0, CHUNK_BYTES, CHOSEN * CHUNK_BYTES])
def test_a_file_that_is_shown_whole_is_compared_with_its_hash(length: int) -> None:
    held = Held(a_file(length))
    assert is_shown_whole(length) and verified(held.answer(), held)
    assert not is_shown_whole(CHOSEN * CHUNK_BYTES + 1)


def test_the_answer_to_an_earlier_checkpoint_is_none_to_a_later_one() -> None:
    assert step(LONG.answer(ROOT), root=OTHER_ROOT) == "challenge"


def test_an_earlier_answer_under_a_later_name_does_not_hold() -> None:
    """Who kept only what was once asked for can put the new root on it, and shows the wrong chunks."""
    raw = resigned(LONG.answer(ROOT), lambda value: value.update(checkpoint_root=OTHER_ROOT.hex()))
    assert step(raw, root=OTHER_ROOT) == "chunks"


def test_answers_made_beforehand_do_not_help() -> None:
    """Nine tenths of the chunks and all the answers to a hundred roots are not enough for the next root."""
    count = chunk_count(LONG.deposit.length)
    kept = set(range(count - 4))
    prepared = {
        number
        for number in range(100)
        if set(LONG.challenge(sha256(b"%d" % number).digest()).chosen(LONG.deposit.length)) <= kept
    }
    assert prepared  # some roots would have spared the loss, but which one comes is not the holder's to choose
    assert not set(LONG.challenge(OTHER_ROOT).chosen(LONG.deposit.length)) <= kept


def test_chunks_in_each_others_place_are_refused() -> None:
    def swap_data(value: dict[str, Any]) -> None:
        one, other = value["chunks"][0], value["chunks"][1]
        one["data_b64"], other["data_b64"] = other["data_b64"], one["data_b64"]

    def swap_indices(value: dict[str, Any]) -> None:
        one, other = value["chunks"][0], value["chunks"][1]
        one["index"], other["index"] = other["index"], one["index"]

    assert step(resigned(LONG.answer(), swap_data)) == "inclusion"
    assert step(resigned(LONG.answer(), swap_indices)) == "chunks"


def test_other_chunks_than_those_asked_for_are_refused() -> None:
    chosen = LONG.challenge().chosen(LONG.deposit.length)
    other = next(index for index in range(41) if index not in chosen)

    def replace(value: dict[str, Any]) -> None:
        value["chunks"][0] = {
            "index": other,
            "data_b64": base64.b64encode(LONG.chunk(other)).decode(),
            "path": [node.hex() for node in LONG.tree.path(other)],
        }

    assert step(resigned(LONG.answer(), replace)) == "chunks"


@pytest.mark.parametrize(
    "change",
    [
        lambda chunks: chunks.pop(),
        lambda chunks: chunks.clear(),
        lambda chunks: chunks.reverse(),
        lambda chunks: chunks.__setitem__(1, chunks[0]),
    ],
)
def test_fewer_doubled_or_unordered_chunks_are_refused(change: Callable[[list[Any]], object]) -> None:
    assert step(resigned(LONG.answer(), lambda value: change(value["chunks"]))) == "chunks"


def test_the_path_of_a_shorter_tree_is_refused() -> None:
    def shorten(value: dict[str, Any]) -> None:
        value["chunks"][0]["path"].pop()

    def lengthen(value: dict[str, Any]) -> None:
        value["chunks"][0]["path"].append("0" * 64)

    assert step(resigned(LONG.answer(), shorten)) == "inclusion"
    assert step(resigned(LONG.answer(), lengthen)) == "inclusion"


def test_a_file_of_another_length_under_the_same_root_is_refused() -> None:
    """A root alone does not fix how many leaves it has."""
    claimed = Deposit(LONG.deposit.sha256, 64 * CHUNK_BYTES, LONG.deposit.chunk_root)
    raw = answer(HOLDER, ROOT, LONG.deposit, LONG.tree, LONG.chunk)
    with pytest.raises(VerificationError) as refused:
        verify_answer(raw, LONG.challenge(), claimed, 7)
    assert refused.value.step in ("chunks", "inclusion")


def test_an_inner_node_does_not_pass_as_a_chunk() -> None:
    """Leaves and nodes are hashed apart, so two hashes of 32 bytes are no chunk of 64."""
    tree = ChunkTree([leaf_hash(b"a" * CHUNK_BYTES), leaf_hash(b"b" * 64)])
    node = tree.leaf(0) + tree.leaf(1)
    deposit = Deposit(SHORT.deposit.sha256, 64, tree.root())
    raw = answer(HOLDER, ROOT, deposit, ChunkTree([leaf_hash(node)]), lambda _: node)
    with pytest.raises(VerificationError) as refused:
        verify_answer(raw, SHORT.challenge(), deposit, 7)
    assert refused.value.step == "inclusion"


def test_an_answer_by_another_key_is_refused() -> None:
    other = key("another holder")
    assert step(LONG.answer(key=other)) == "challenge"
    assert step(resigned(LONG.answer(), lambda _: None, by=other)) == "signature"


def test_a_signature_for_another_purpose_is_refused() -> None:
    value = json.loads(LONG.answer())
    digest = LONG.challenge().signed(sha256(canonical.encode(value["answer"])).digest())
    value["signature_b64"] = encode_signature(HOLDER.sign_event(digest))
    assert step(canonical.encode(value)) == "signature"


def test_what_a_holder_signs_is_no_note() -> None:
    with pytest.raises(ValueError, match="note"):
        HOLDER.sign_note(b"pith-possession/1\n" + bytes(40) + b"\n")


def test_a_key_under_which_anybody_can_sign_proves_nothing() -> None:
    held, challenge = SHORT, Challenge(ROOT, SMALL_ORDER, SHORT.deposit.sha256)
    value = json.loads(held.answer())
    value["answer"]["holder_key"] = SMALL_ORDER.hex()
    value["signature_b64"] = encode_signature(SMALL_ORDER + bytes(32))
    with pytest.raises(VerificationError) as refused:
        verify_answer(canonical.encode(value), challenge, held.deposit, 7)
    assert refused.value.step == "signature"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>gone</html>",
        b"\xff" * 100,
        b'{"answer":{},"signature_b64":""}',
        b'{"answer":1.5,"signature_b64":""}',
        b"[" * 100_000,
        b" " * (MAX_ANSWER_BYTES + 1),
        b'{"' + b"x" * 100_000 + b'":1}',
    ],
)
def test_what_is_no_answer_is_refused_without_being_quoted(raw: bytes) -> None:
    assert step(raw) == "answer"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "pith_receipt"),
        ("checkpoint_root", "0"),
        ("sha256", None),
        ("chunks", {}),
        ("chunks", [{"index": -1, "data_b64": "", "path": []}]),
        ("chunks", [{"index": 0, "data_b64": "", "path": ["zz"]}]),
        ("chunks", [{"index": 0, "data_b64": "", "path": ["0" * 64] * 65}]),
        ("extra", 1),
    ],
)
def test_an_answer_of_another_form_is_refused(name: str, value: Any) -> None:
    assert step(resigned(LONG.answer(), lambda answered: answered.update({name: value}))) == "answer"


@pytest.mark.parametrize("data", ["!", "AA==", "AB==", "A", "\n"])
def test_a_chunk_has_one_spelling(data: str) -> None:
    held = Held(b"\0")
    value = json.loads(held.answer())
    assert value["answer"]["chunks"][0]["data_b64"] == "AA=="
    value["answer"]["chunks"][0]["data_b64"] = data
    digest = held.challenge().signed(sha256(canonical.encode(value["answer"])).digest())
    value["signature_b64"] = encode_signature(HOLDER.sign_possession(digest))
    raw = canonical.encode(value)
    if data == "AA==":
        verified(raw, held)
    else:
        assert step(raw, held) == "chunks"


def test_what_is_no_base64_does_not_pass_as_the_empty_chunk() -> None:
    held = Held(b"")
    value = json.loads(held.answer())
    value["answer"]["chunks"][0]["data_b64"] = "!"
    digest = held.challenge().signed(sha256(canonical.encode(value["answer"])).digest())
    value["signature_b64"] = encode_signature(HOLDER.sign_possession(digest))
    assert step(canonical.encode(value), held) == "chunks"


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_changed_byte_of_an_answer_is_accepted(at: int, change: int) -> None:
    raw = bytearray(SHORT.answer())
    raw[at % len(raw)] ^= change
    with pytest.raises(VerificationError):
        verified(bytes(raw), SHORT)


# Where a holder answers.


def test_a_location_names_the_address_and_the_key() -> None:
    location = format_location(ADDRESS, HOLDER.public_key)
    assert parse_location(location) == (ADDRESS, HOLDER.public_key)


@pytest.mark.parametrize(
    "location",
    [
        ADDRESS,
        f"{ADDRESS}#",
        f"{ADDRESS}#ed25519:{'0' * 63}",
        f"{ADDRESS}#ed25519:{HOLDER.public_key.hex().upper()}",
        f"{ADDRESS}#other#ed25519:{HOLDER.public_key.hex()}",
        f"ftp://holder.example.org/#ed25519:{HOLDER.public_key.hex()}",
        f"{ADDRESS}#ed25519:{HOLDER.public_key.hex()}\n",
    ],
)
def test_a_location_without_a_key_is_refused(location: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        parse_location(location, "payload.location.url")
    assert refused.value.place == "payload.location.url"


def test_a_location_with_a_key_of_small_order_is_refused() -> None:
    with pytest.raises(WeakKeyError) as refused:
        parse_location(format_location(ADDRESS, SMALL_ORDER), "payload.location.url")
    assert refused.value.place == "payload.location.url"
