"""Canonical records and the Pith Numbers computed from them.

The public protocol fixes all of this to the byte: a record is a small JSON object holding the source
identifier and the SHA-256 of title and abstract; its canonical bytes are hashed, and the hash, in
base32, is the number. Anyone can recompute it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from ledger import canonical
from ledger.errors import HashMismatchError, InvalidFieldError, NumberMismatchError, TextMismatchError
from ledger.subjects import normal_source_id, parse_number

SCHEMA_VERSION: Final = "1.0"
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z\Z"
HEX64: Final = r"^[0-9a-f]{64}\Z"

Hex64 = Annotated[str, msgspec.Meta(pattern=HEX64)]
Time = Annotated[str, msgspec.Meta(pattern=TIME)]
Category = Annotated[str, msgspec.Meta(max_length=60)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Annotated[str, msgspec.Meta(max_length=20)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    version: Annotated[int, msgspec.Meta(ge=1, le=9999)]


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    license: Annotated[str, msgspec.Meta(max_length=300)]
    primary_cat: Category
    cross_cats_sorted: Annotated[list[Category], msgspec.Meta(max_length=50)]
    submitted_at: Time
    title_canon_sha256: Hex64
    abstract_canon_sha256: Hex64


class CanonicalRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The hashed part of a paper's description, in the public protocol's shape."""

    schema_version: str
    source: Source
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Identity:
    """What a canonical record hashes to: 32 raw bytes, the 26-character suffix and the whole number."""

    digest: bytes
    suffix: str
    number: str

    @property
    def short(self) -> str:
        return f"pith:{self.suffix[:8]}"


def suffix_of(digest: bytes) -> str:
    """Return the first 26 base32 characters (130 bits) of a 32-byte hash."""
    return base64.b32encode(digest[:20])[:26].decode()


def identify(record: Mapping[str, Any]) -> Identity:
    """Compute the Pith Number of a canonical record given as a JSON object of the right shape."""
    digest = hashlib.sha256(canonical.encode_decoded(record)).digest()
    suffix = suffix_of(digest)
    return Identity(digest, suffix, f"pith:{record['metadata']['submitted_at'][:4]}:{suffix}")


def check_record(record: Mapping[str, Any], number: str) -> Identity:
    """Check that a canonical record is well formed and hashes to the given number.

    Raises:
        InvalidFieldError: not the shape of a canonical record.
        NumberMismatchError: the record belongs to another number.
    """
    try:
        parsed = msgspec.convert(record, CanonicalRecord)
    except msgspec.ValidationError as error:
        raise InvalidFieldError(str(error), place="canonical_record") from None
    check_time(parsed.metadata.submitted_at, "canonical_record.metadata.submitted_at")
    if parsed.schema_version != SCHEMA_VERSION:
        raise InvalidFieldError(
            f"schema_version {parsed.schema_version!r} is not {SCHEMA_VERSION}", place="canonical_record"
        )
    source = parsed.source
    if normal_source_id(source.kind, source.id) != source.id:
        raise InvalidFieldError(f"{source.id!r} is not in normal form", place="canonical_record.source.id")
    if list(parsed.metadata.cross_cats_sorted) != sorted(parsed.metadata.cross_cats_sorted):
        raise InvalidFieldError("categories are not sorted", place="canonical_record.metadata.cross_cats_sorted")
    parse_number(number)
    found = identify(record)
    if found.number != number:
        raise NumberMismatchError(f"the record hashes to {found.number}, not {number}", place="canonical_record")
    return found


def check_digest(stated: str, identity: Identity, place: str = "canonical_sha256") -> None:
    """Refuse a stated hex SHA-256 that is not the canonical record's.

    Raises:
        HashMismatchError: it belongs to something else.
    """
    if stated != identity.digest.hex():
        raise HashMismatchError(f"the record hashes to {identity.digest.hex()}, not {stated}", place=place)


def check_time(text: str, place: str) -> datetime:
    """Parse `YYYY-MM-DDTHH:MM:SSZ` and refuse dates that do not exist.

    Raises:
        InvalidFieldError: another form, or no such instant.
    """
    try:
        return _instant(text)
    except ValueError:
        raise InvalidFieldError(
            f"{text[:40]!r} is no instant", place=place, cure="write UTC as YYYY-MM-DDTHH:MM:SSZ"
        ) from None


@lru_cache(maxsize=4_096)
def _instant(text: str) -> datetime:
    if not re.match(TIME, text):
        raise ValueError
    return datetime.fromisoformat(text)


def text_sha256(text: str) -> str:
    """Return the hex SHA-256 of a title or abstract after the public rule.

    White-space runs become one space, ends are stripped, letters are lower-cased; nothing else changes.
    """
    return hashlib.sha256(" ".join(text.split()).lower().encode()).hexdigest()


def check_texts(record: Mapping[str, Any], title: str | None, abstract: str | None) -> None:
    """Check that title and abstract, where given whole, hash to the canonical record's hashes.

    Raises:
        TextMismatchError: one of them is not the text that was hashed.
    """
    metadata = record["metadata"]
    for name, text in (("title", title), ("abstract", abstract)):
        if text is None:
            continue
        stated = metadata[f"{name}_canon_sha256"]
        if text_sha256(text) != stated and text_sha256(unicodedata.normalize("NFC", text)) != stated:
            raise TextMismatchError(f"the {name} hashes to {text_sha256(text)}, not {stated}", place=name)


def canonical_record(
    *,
    kind: str,
    ident: str,
    version: int,
    title: str,
    abstract: str,
    categories: Sequence[str],
    license: str,
    submitted_at: str,
) -> dict[str, Any]:
    """Build the canonical record of a paper; texts are brought to NFC before they are hashed.

    Args:
        categories: the primary category first; empty where the source has none.
        submitted_at: the first version's instant, `YYYY-MM-DDTHH:MM:SSZ`.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "source": {"kind": kind, "id": ident, "version": version},
        "metadata": {
            "license": license,
            "primary_cat": categories[0] if categories else "",
            "cross_cats_sorted": sorted(categories[1:]),
            "submitted_at": submitted_at,
            "title_canon_sha256": text_sha256(unicodedata.normalize("NFC", title)),
            "abstract_canon_sha256": text_sha256(unicodedata.normalize("NFC", abstract)),
        },
    }


def snapshot_sha256(payload: Any) -> str:
    """Return the hex SHA-256 that the public protocol gives to a snapshot block's content."""
    return hashlib.sha256(canonical.encode({"payload": payload})).hexdigest()
