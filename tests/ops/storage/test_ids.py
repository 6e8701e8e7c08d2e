"""Identifiers of content: computed as the archives compute them, parsed strictly, and checked against bytes."""

from __future__ import annotations

import base64
import io
from hashlib import sha256
from typing import Any

import pytest

from ledger.chunks import CHUNK_BYTES, chunk_tree
from ledger.errors import HashMismatchError, InvalidFieldError, LedgerError, SourceUnreadableError
from ledger.merkle import leaf_hash
from ops.storage import ids
from ops.storage.ids import check_identifiers, identifiers, parse_cid, parse_swhid, resolve

HELLO = b"Hello World!\n"
SWHID = "swh:1:cnt:980a0d5f19a64b4b30a87d4206aade58726b60e3"
CID = "bafkreiadxiqe4ugre3sgotaalycnqlueyijwm6ak6h2dxvkkg6aww2vtia"
KUBO_TREE = "QmWKdZuiD9zqoZFnLYbpV2Q5YhRCJWpqiVeYA8ygYEjcEe"


class Dripping(io.RawIOBase):
    """A stream that cannot be wound and gives few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 7))


def of(content: bytes) -> dict[str, Any]:
    return identifiers(io.BytesIO(content))


def test_the_published_file_has_its_published_identifiers() -> None:
    assert of(HELLO) == {
        "sha256": "03ba204e50d126e4674c005e04d82e84c21366780af1f43bd54a37816b6ab340",
        "bytes": 13,
        "swhid": SWHID,
        "cid": CID,
        "chunk_root": leaf_hash(HELLO).hex(),
    }


def test_an_empty_file_has_its_published_identifiers() -> None:
    found = of(b"")
    assert found["swhid"] == "swh:1:cnt:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert found["cid"] == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    assert found["bytes"] == 0
    assert found["chunk_root"] == leaf_hash(b"").hex()


@pytest.mark.parametrize("length", [1, ids.PIECE_BYTES - 1, ids.PIECE_BYTES, ids.PIECE_BYTES + CHUNK_BYTES + 1])
def test_a_file_longer_than_what_is_read_at_once_is_read_whole(length: int) -> None:
    content = bytes(range(256)) * (length // 256 + 1)
    found = of(content[:length])
    assert found["sha256"] == sha256(content[:length]).hexdigest()
    assert found["chunk_root"] == chunk_tree([content[:length]]).root().hex()


def test_a_file_that_was_read_before_is_read_from_its_beginning() -> None:
    file = io.BytesIO(HELLO)
    file.read()
    assert identifiers(file) == of(HELLO)


def test_a_stream_of_known_length_is_read_as_it_comes() -> None:
    assert identifiers(Dripping(HELLO * 10), 130) == of(HELLO * 10)  # type: ignore[arg-type]


@pytest.mark.parametrize(("announced", "reason"), [(12, "more"), (14, "fewer"), (0, "more")])
def test_a_stream_of_another_length_is_refused(announced: int, reason: str) -> None:
    with pytest.raises(SourceUnreadableError, match=f"{reason} than the {announced} bytes"):
        identifiers(Dripping(HELLO), announced)  # type: ignore[arg-type]


def test_a_stream_that_never_ends_is_left_soon_after_its_announced_length() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return bytes(size)

    stream = Endless()
    with pytest.raises(SourceUnreadableError, match="more than"):
        identifiers(stream, 1_000)  # type: ignore[arg-type]
    assert stream.given <= 1_001


def test_a_cid_holds_the_hash() -> None:
    assert parse_cid(CID) == sha256(HELLO).digest()


@pytest.mark.parametrize(
    "cid",
    [
        "",
        CID[:-1],
        CID + "a",
        CID.upper(),
        "z" + CID[1:],
        CID[:-1] + "b",  # other bits after the last byte: a second spelling of the same hash
        "b" + base64.b32encode(bytes((1, 0x55, 0x13, 0x20)) + bytes(32)).decode().rstrip("=").lower(),
        "b" + base64.b32encode(bytes((1, 0x71, 0x12, 0x20)) + bytes(32)).decode().rstrip("=").lower(),
        "b" + base64.b32encode(bytes((2, 0x55, 0x12, 0x20)) + bytes(32)).decode().rstrip("=").lower(),
        "b" + "0" * 58,
        CID + "\n",
    ],
)
def test_what_is_no_cid_of_a_raw_block_is_refused(cid: str) -> None:
    with pytest.raises(InvalidFieldError, match="not the CID of a raw block") as refused:
        parse_cid(cid, "payload.location.url")
    assert refused.value.place == "payload.location.url"


@pytest.mark.parametrize(
    "cid", [KUBO_TREE, "b" + base64.b32encode(bytes((1, 0x70, 0x12, 0x20)) + bytes(32)).decode().rstrip("=").lower()]
)
def test_the_cid_of_a_tree_of_blocks_is_refused_as_such(cid: str) -> None:
    with pytest.raises(InvalidFieldError, match="tree of blocks"):
        parse_cid(cid)


@pytest.mark.parametrize(
    "qualifiers",
    [
        "",
        ";origin=https://github.com/torvalds/linux",
        ";origin=https://example.org/a%3Bb;visit=swh:1:snp:d7f1b9eb7ccb596c2622c4780febaa02549830f9;path=/p.pdf;lines=9-15",
    ],
)
def test_the_qualifiers_of_a_swhid_are_set_aside(qualifiers: str) -> None:
    assert parse_swhid(SWHID + qualifiers) == SWHID


@pytest.mark.parametrize(
    "swhid",
    [
        "",
        SWHID[:-1],
        SWHID + "0",
        SWHID.upper(),
        SWHID.replace("cnt", "dir"),
        SWHID.replace(":1:", ":2:"),
        SWHID + ";",
        SWHID + ";origin=",
        SWHID + ";other=1",
        SWHID + ";path=/a;path=/b",
        SWHID + ";path=a b",
        SWHID + "\n",
    ],
)
def test_what_is_no_swhid_of_a_content_is_refused(swhid: str) -> None:
    with pytest.raises(InvalidFieldError, match="not the SWHID of a content"):
        parse_swhid(swhid)


def test_stated_identifiers_that_hold_are_fine() -> None:
    stated = {**of(HELLO), "media_type": "text/plain", "swhid": f"{SWHID};path=/hello"}
    check_identifiers(stated, of(HELLO))
    check_identifiers({}, of(HELLO))


@pytest.mark.parametrize("name", ["sha256", "bytes", "swhid", "cid", "chunk_root"])
def test_a_stated_identifier_of_other_bytes_is_named(name: str) -> None:
    stated = {**of(HELLO), name: of(b"other")[name]}
    with pytest.raises(HashMismatchError) as refused:
        check_identifiers(stated, of(HELLO), "payload.content")
    assert refused.value.place == f"payload.content.{name}"


@pytest.mark.parametrize(("name", "value"), [("swhid", "swh:1:dir:" + "0" * 40), ("cid", KUBO_TREE)])
def test_a_stated_identifier_that_is_none_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        check_identifiers({name: value}, of(HELLO), "payload.content")
    assert refused.value.place == f"payload.content.{name}"


def test_a_swhid_is_fetched_from_software_heritage_and_checked() -> None:
    found = resolve("swh", f"{SWHID};origin=https://example.org/repo")
    assert found.address == (
        "https://archive.softwareheritage.org/api/1/content/sha1_git:980a0d5f19a64b4b30a87d4206aade58726b60e3/raw/"
    )
    found.check(of(HELLO))
    with pytest.raises(HashMismatchError):
        found.check(of(b"other"))


def test_a_cid_is_fetched_from_a_gateway_and_checked() -> None:
    found = resolve("ipfs", f"ipfs://{CID}", ipfs_gateway="https://gateway.example.org")
    assert found.address == f"https://gateway.example.org/ipfs/{CID}?format=raw"
    found.check(of(HELLO))
    with pytest.raises(HashMismatchError):
        found.check(of(b"other"))


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        ("ipfs", CID),
        ("ipfs", f"https://ipfs.io/ipfs/{CID}"),
        ("ipfs", f"ipfs://{CID}/paper.pdf"),
        ("ipfs", f"ipfs://{CID}@10.0.0.1/"),
        ("ipfs", f"ipfs://{KUBO_TREE}"),
        ("swh", "https://archive.softwareheritage.org/" + SWHID),
        ("swh", f"ipfs://{CID}"),
    ],
)
def test_a_location_of_another_form_is_refused(kind: Any, location: str) -> None:
    with pytest.raises(LedgerError) as refused:
        resolve(kind, location)
    assert isinstance(refused.value, InvalidFieldError)
    assert refused.value.place == "payload.location.url"
