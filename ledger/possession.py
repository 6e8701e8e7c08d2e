"""Proofs that a holder has a file now: a challenge nobody could foresee, chunks it chooses, and a signed answer.

When a file is deposited, the root of its chunk tree (see `chunks`) is recorded beside its SHA-256 and length.

    challenge = SHA-256("pith-possession-challenge/1\\n" || checkpoint root || public key of the holder || sha256)
    answer    = canonical JSON of {kind, checkpoint_root, holder_key, sha256, chunks: [{index, data_b64, path}]}
    signature = Ed25519 over "pith-possession/1\\n" || SHA-256(challenge || SHA-256(answer))

where `sha256` is that of the whole file, raw in the challenge and in hex in the answer.

Sixteen chunks are drawn, all of them where there are fewer: a file up to 1 MiB, as most papers are, is shown whole. Of
a longer one that lacks a part p of its chunks, one challenge misses the loss with probability (1 - p)^16 at most: 1 %
is noticed in 15 of 100 challenges, 5 % in 56, 10 % in 81, 25 % in 99; after n of them the misses multiply. Asking for
more would find small losses sooner and make each answer longer than 1.5 MB.

What the log keeps (`payloads.Possession`) proves offline that the holder's key signed an answer to the challenge of
that checkpoint root, so not before that root was known. It leaves open what only the checker saw, that the chunks
lead to the recorded root; and that the root is this log's at `tree_size`, which whoever has the log can compute.
Nothing ties a chunk tree to a SHA-256 but the bytes themselves: of a file that is shown whole they are compared; of a
longer one the recorded root has to come from somebody who read all of it. An
answer never says on which machine the bytes lie, nor that there is only one copy. Who can choose among many roots (a
registry in league with a holder) can look for one that spares what is lost.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
from msgspec import Meta

from ledger import canonical
from ledger.chunks import CHUNK_BYTES, ChunkTree, chunk_count
from ledger.errors import (
    InvalidFieldError,
    MalformedError,
    MissingFieldError,
    RuleViolationError,
    SubmissionError,
    VerificationError,
)
from ledger.keys import SecretKey, check_public_key, decode_signature, encode_signature, verify_possession
from ledger.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from ledger.notes import decode_base64
from ledger.payloads import Content, Count, Location, Possession
from ledger.records import Hex64

CHOSEN: Final = 16
MAX_ANSWER_BYTES: Final = 1_500_000
"""Sixteen chunks in base64 with paths of up to 64 hashes are shorter."""

CHALLENGE_DOMAIN: Final = b"pith-possession-challenge/1\n"

_LOCATION: Final = re.compile(r"(https?://[^#]+)#ed25519:([0-9a-f]{64})")
_WORD: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Deposit:
    """What a copy has to be: SHA-256 (32 bytes), length in bytes, and the root of its chunk tree (32 bytes)."""

    sha256: bytes
    length: int
    chunk_root: bytes


def deposit_of(content: Content, place: str = "payload.content") -> Deposit:
    """Return what a statement about content says that a copy has to be.

    Raises:
        MissingFieldError: it says nothing about chunks.
    """
    if not isinstance(content.chunk_root, str):
        raise MissingFieldError("no challenge without the root of its chunk tree", place=f"{place}.chunk_root")
    return Deposit(bytes.fromhex(content.sha256), content.bytes, bytes.fromhex(content.chunk_root))


def is_shown_whole(length: int) -> bool:
    """Say whether an answer about a file of so many bytes shows every chunk of it."""
    return chunk_count(length) <= CHOSEN


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question to one holder about one file; all three are 32 raw bytes."""

    checkpoint_root: bytes
    holder_key: bytes
    content_sha256: bytes

    def __post_init__(self) -> None:
        if any(len(part) != HASH_BYTES for part in (self.checkpoint_root, self.holder_key, self.content_sha256)):
            raise ValueError("the parts of a challenge have 32 bytes each")

    def digest(self) -> bytes:
        """Return the 32 bytes from which everything else is drawn."""
        return sha256(CHALLENGE_DOMAIN + self.checkpoint_root + self.holder_key + self.content_sha256).digest()

    def chosen(self, length: int) -> list[int]:
        """Return the chunks to show of a file of so many bytes, ascending; every choice is equally likely.

        Words of 64 bits are read off SHA-256(challenge || counter in 8 bytes, big-endian), counter 0, 1, …; words at or
        above the largest multiple of the number of chunks are passed over, as are chunks drawn already.
        """
        count = chunk_count(length)
        if count <= CHOSEN:
            return list(range(count))
        seed, drawn, counter = self.digest(), set[int](), 0
        while True:
            block = sha256(seed + counter.to_bytes(8, "big")).digest()
            for at in range(0, len(block), 8):
                word = int.from_bytes(block[at : at + 8], "big")
                if word < _WORD - _WORD % count:
                    drawn.add(word % count)
                if len(drawn) == CHOSEN:
                    return sorted(drawn)
            counter += 1

    def signed(self, answer_sha256: bytes) -> bytes:
        """Return the 32 bytes that the holder signs, under its domain, for an answer with this SHA-256."""
        return sha256(self.digest() + answer_sha256).digest()


# --- where a holder answers ----------------------------------------------------------------


def format_location(address: str, holder_key: bytes) -> str:
    """Return the location of a holder's copies: where it answers, and the key that will sign."""
    return f"{address}#ed25519:{holder_key.hex()}"


def parse_location(location: str, place: str = "") -> tuple[str, bytes]:
    """Read `http(s)://…#ed25519:HEX`; returns the address to ask and the 32-byte key.

    The key is part of the location, so that the first answer is as sure as any later one, and who answers with
    another key answers for another location.

    Raises:
        InvalidFieldError: another form.
        WeakKeyError: a key under which anybody could sign.
    """
    found = _LOCATION.fullmatch(location)
    if not found:
        cure = "a holder is given as https://HOST/possession#ed25519: and the 64 hex digits of its key"
        raise InvalidFieldError("not the location of a holder", place=place, cure=cure)
    key = bytes.fromhex(found[2])
    _at(place, lambda: check_public_key(key))
    return found[1], key


# --- answering -----------------------------------------------------------------------------


class _Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: Count
    data_b64: str
    path: Annotated[list[Hex64], Meta(max_length=64)]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["pith_possession"]
    checkpoint_root: Hex64
    holder_key: Hex64
    sha256: Hex64
    chunks: Annotated[list[_Chunk], Meta(max_length=CHOSEN)]


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answer: _Answer
    signature_b64: str


def answer(
    key: SecretKey, checkpoint_root: bytes, deposit: Deposit, tree: ChunkTree, read: Callable[[int], bytes]
) -> bytes:
    """Answer a challenge as the holder of a key: canonical JSON of {answer, signature_b64}.

    Args:
        tree: the chunk tree of the deposited file.
        read: returns the bytes of a chunk of the file.
    """
    challenge = Challenge(checkpoint_root, key.public_key, deposit.sha256)
    chunks = [
        {
            "index": index,
            "data_b64": base64.b64encode(read(index)).decode(),
            "path": [node.hex() for node in tree.path(index)],
        }
        for index in challenge.chosen(deposit.length)
    ]
    given = {
        "kind": "pith_possession",
        "checkpoint_root": checkpoint_root.hex(),
        "holder_key": key.public_key.hex(),
        "sha256": deposit.sha256.hex(),
        "chunks": chunks,
    }
    digest = sha256(canonical.encode(given)).digest()
    signature = key.sign_possession(challenge.signed(digest))
    return canonical.encode({"answer": given, "signature_b64": encode_signature(signature)})


# --- checking ------------------------------------------------------------------------------


def verify_answer(raw: bytes, challenge: Challenge, deposit: Deposit, tree_size: int) -> dict[str, Any]:
    """Check a holder's answer; returns what the log keeps of it (the payload's `possession`).

    Args:
        challenge: about the deposited file.
        tree_size: the size of this log at which it has the challenge's checkpoint root.

    Raises:
        VerificationError: step `answer` (it is none), `challenge` (it answers another), `chunks` (not those that were
            asked for, or all of them and together not the file with this SHA-256), `inclusion` (they do not lead to
            the recorded root) or `signature`.
    """
    given, digest = _decoded(raw)
    found = given.answer
    asked = (challenge.checkpoint_root.hex(), challenge.holder_key.hex(), challenge.content_sha256.hex())
    for name, stated, meant in zip(
        ("checkpoint", "key", "content"), (found.checkpoint_root, found.holder_key, found.sha256), asked, strict=True
    ):
        if stated != meant:
            _refuse("challenge", f"the answer is for the {name} {stated}, asked was {meant}")
    chosen = challenge.chosen(deposit.length)
    if [chunk.index for chunk in found.chunks] != chosen:
        _refuse("chunks", f"the challenge asks for the chunks {chosen}, the answer shows others")
    shown = sha256()
    for chunk in found.chunks:
        shown.update(_verified_chunk(chunk, deposit))
    if is_shown_whole(deposit.length) and shown.digest() != deposit.sha256:
        _refuse("chunks", f"all chunks together are {shown.hexdigest()}, not {deposit.sha256.hex()}")
    try:
        signature = decode_signature(given.signature_b64, "signature_b64")
        verify_possession(challenge.holder_key, challenge.signed(digest), signature)
    except SubmissionError as error:
        _refuse("signature", error.message)
    return {
        "tree_size": tree_size,
        "checkpoint_root": challenge.checkpoint_root.hex(),
        "holder_key": challenge.holder_key.hex(),
        "chunks": chosen,
        "answer_sha256": digest.hex(),
        "signature_b64": given.signature_b64,
    }


def check_possession(location: Location, content: Content, possession: Possession, place: str) -> None:
    """Check of a proof in the log everything that its own bytes decide; see the module for what that leaves open.

    Raises:
        InvalidFieldError, WeakKeyError, RuleViolationError, SignatureInvalidError: says what does not hold, below
            the place.
    """
    _, key = parse_location(location.url, "payload.location.url")
    if possession.holder_key != key.hex():
        raise RuleViolationError("the location names another key", place=f"{place}.holder_key")
    challenge = Challenge(bytes.fromhex(possession.checkpoint_root), key, bytes.fromhex(content.sha256))
    chosen = challenge.chosen(content.bytes)
    if possession.chunks != chosen:
        raise RuleViolationError(f"the challenge asks for the chunks {chosen}", place=f"{place}.chunks")
    signature = decode_signature(possession.signature_b64, f"{place}.signature_b64")
    digest = challenge.signed(bytes.fromhex(possession.answer_sha256))
    _at(f"{place}.signature_b64", lambda: verify_possession(key, digest, signature))


def _decoded(raw: bytes) -> tuple[_Signed, bytes]:
    """Return an answer with the SHA-256 of what its signature covers; nothing of it is quoted when it is none."""
    try:
        value = canonical.decode_canonical(raw, max_bytes=MAX_ANSWER_BYTES)
        given = msgspec.convert(value, _Signed)
    except MalformedError as error:
        _refuse("answer", f"it is no canonical JSON of at most {MAX_ANSWER_BYTES} bytes ({error.code})")
    except msgspec.ValidationError:
        _refuse("answer", "it has not the form of an answer")
    return given, sha256(canonical.encode_decoded(value["answer"])).digest()


def _verified_chunk(chunk: _Chunk, deposit: Deposit) -> bytes:
    data, count = decode_base64(chunk.data_b64), chunk_count(deposit.length)
    if chunk.data_b64 and not data:
        _refuse("chunks", f"chunk {chunk.index} is no base64")
    is_last = chunk.index == count - 1
    length = deposit.length - chunk.index * CHUNK_BYTES if is_last else CHUNK_BYTES
    if len(data) != length:
        _refuse("chunks", f"chunk {chunk.index} has {len(data)} bytes, not {length}")
    path = [bytes.fromhex(node) for node in chunk.path]
    try:
        verify_inclusion(leaf_hash(data), chunk.index, count, path, deposit.chunk_root)
    except VerificationError as error:
        _refuse("inclusion", f"chunk {chunk.index}: {error.message}")
    return data


def _at(place: str, check: Callable[[], None]) -> None:
    try:
        check()
    except SubmissionError as error:
        error.place = place
        raise


def _refuse(step: str, reason: str) -> NoReturn:
    raise VerificationError(step, reason, cure="")
