"""The names that other archives give to the same bytes: Software Heritage's identifiers and IPFS's.

* SWHID of a content (SWHID 1.2, `swh:1:cnt:` and the git hash of a blob): SHA-1 over `blob LENGTH\\0` and the bytes. It
  finds a file, but SHA-1 alone vouches for none: the SHA-256 stands beside it.
* CID, version 1, of one raw block: `b`, then base32 (RFC 4648, lower case, no padding) of 01 55 12 20 and the
  SHA-256. It is the SHA-256 in another spelling. What `ipfs add` prints for a file longer than its chunks names a tree
  of blocks, depends on how it was cut, and is refused: a file's bytes alone cannot tell it. Gateways hand out a block
  of up to 2 MiB.

Both can be turned into an address from which the bytes are fetched, and checked against what came.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import IO, Any, Final, Literal

from ledger.chunks import Chunking
from ledger.errors import HashMismatchError, InvalidFieldError, SourceUnreadableError

PIECE_BYTES: Final = 1 << 20

SOFTWARE_HERITAGE: Final = "https://archive.softwareheritage.org"
IPFS_GATEWAY: Final = "https://ipfs.io"

_NAMES: Final = ("sha256", "bytes", "swhid", "cid", "chunk_root")
_SWHID: Final = re.compile(r"swh:1:cnt:([0-9a-f]{40})")
_QUALIFIER: Final = re.compile(r"(origin|visit|anchor|path|lines|bytes)=[!-:<-~]+")
_RAW_BLOCK: Final = bytes((0x01, 0x55, 0x12, 0x20))
_CID_BYTES: Final = len(_RAW_BLOCK) + 32


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a content is fetched by its identifier: the address, and the identifier that the bytes must have."""

    address: str
    name: Literal["swhid", "cid"]
    identifier: str

    def check(self, found: Mapping[str, Any]) -> None:
        """Check what `identifiers` says of the fetched bytes.

        Raises:
            HashMismatchError: they are others.
        """
        check_identifiers({self.name: self.identifier}, found)


def identifiers(file: IO[bytes], length: int | None = None) -> dict[str, Any]:
    """Read a file to its end and return what a `storage_attestation` states of content, but for its media type.

    That is `sha256`, `bytes`, `swhid`, `cid` and `chunk_root`, the root of its chunk tree (see `ledger.chunks`).

    Args:
        length: how many bytes will come, needed for a stream that cannot be wound; None takes the whole of a file that
            can, from its beginning.

    Raises:
        SourceUnreadableError: more or fewer bytes came.
    """
    if length is None:
        length = file.seek(0, 2)
        file.seek(0)
    content = sha256()
    blob = sha1(b"blob %d\0" % length, usedforsecurity=False)
    chunking = Chunking()
    count = 0
    while piece := file.read(min(PIECE_BYTES, length - count + 1)):
        count += len(piece)
        if count > length:
            break
        content.update(piece)
        blob.update(piece)
        chunking.update(piece)
    if count != length:
        raise SourceUnreadableError(f"it has {'more' if count > length else 'fewer'} than the {length} bytes announced")
    return {
        "sha256": content.hexdigest(),
        "bytes": length,
        "swhid": f"swh:1:cnt:{blob.hexdigest()}",
        "cid": raw_cid(content.digest()),
        "chunk_root": chunking.tree().root().hex(),
    }


def raw_cid(digest: bytes) -> str:
    """Return the CID of one raw block by its 32-byte SHA-256."""
    return "b" + base64.b32encode(_RAW_BLOCK + digest).decode().rstrip("=").lower()


def parse_swhid(text: str, place: str = "") -> str:
    """Return the core identifier of a content's SWHID, without its qualifiers (`;origin=…`, `;path=…`).

    Raises:
        InvalidFieldError: another kind of object, version or spelling.
    """
    core, *qualifiers = text.split(";")
    names = [qualifier.partition("=")[0] for qualifier in qualifiers]
    is_known = all(map(_QUALIFIER.fullmatch, qualifiers)) and len(set(names)) == len(names)
    if not _SWHID.fullmatch(core) or not is_known:
        cure = "give swh:1:cnt: and 40 hex digits, qualifiers after ;"
        raise InvalidFieldError("not the SWHID of a content", place=place, cure=cure)
    return core


def parse_cid(text: str, place: str = "") -> bytes:
    """Return the SHA-256 in the CID of one raw block.

    Raises:
        InvalidFieldError: another version, base, codec or hash, or no CID.
    """
    cure = "give the CID of one raw block with SHA-256, b and 58 characters: `ipfs block put --cid-codec raw`"
    if re.fullmatch("Qm[1-9A-HJ-NP-Za-km-z]{44}|bafybei[a-z2-7]{52}", text):
        raise InvalidFieldError(
            "this CID names a tree of blocks, which a file's bytes alone cannot tell", place=place, cure=cure
        )
    raw = b""
    if re.fullmatch("b[a-z2-7]{58}", text):
        raw = base64.b32decode(text[1:].upper() + "======")
    if len(raw) != _CID_BYTES or not raw.startswith(_RAW_BLOCK) or raw_cid(raw[len(_RAW_BLOCK) :]) != text:
        raise InvalidFieldError("not the CID of a raw block", place=place, cure=cure)
    return raw[len(_RAW_BLOCK) :]


def check_identifiers(stated: Mapping[str, Any], found: Mapping[str, Any], place: str = "") -> None:
    """Check every identifier that a statement about content makes against what `identifiers` found.

    Args:
        stated: such as a payload's `content`; what it leaves out is not checked.

    Raises:
        InvalidFieldError: a stated SWHID or CID is none.
        HashMismatchError: one differs; its place names it.
    """
    for name in _NAMES:
        value = stated.get(name)
        if value is None:
            continue
        where = f"{place}.{name}" if place else name
        if name == "swhid":
            value = parse_swhid(value, where)
        elif name == "cid":
            parse_cid(value, where)
        if value != found[name]:
            raise HashMismatchError(f"the bytes have {found[name]}, stated is {value}", place=where)


def resolve(
    kind: Literal["swh", "ipfs"],
    location: str,
    *,
    software_heritage: str = SOFTWARE_HERITAGE,
    ipfs_gateway: str = IPFS_GATEWAY,
) -> Resolved:
    """Turn a location by identifier, `swh:1:cnt:…` or `ipfs://CID`, into the address from which to fetch it.

    Args:
        software_heritage: the address of an archive with Software Heritage's interface, without a final slash.
        ipfs_gateway: the address of a gateway (IPFS HTTP Gateways: trustless, `format=raw`), likewise.

    Raises:
        InvalidFieldError: the location is none of these.
    """
    if kind == "swh":
        core = parse_swhid(location, "payload.location.url")
        digest = core.rpartition(":")[2]
        return Resolved(f"{software_heritage}/api/1/content/sha1_git:{digest}/raw/", "swhid", core)
    scheme, separator, cid = location.partition("://")
    if (scheme, separator) != ("ipfs", "://"):
        raise InvalidFieldError("not an address of IPFS", place="payload.location.url", cure="give ipfs://CID")
    parse_cid(cid, "payload.location.url")
    return Resolved(f"{ipfs_gateway}/ipfs/{cid}?format=raw", "cid", cid)
