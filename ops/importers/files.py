"""Files of paper metadata, read line by line whatever their form.

The form is found by content, not by name: gzip or not; XML (an Atom feed or an ACL collection); one whole
JSON document over many lines; or JSON lines, each judged by its own keys. One bad line yields its error
and reading goes on; memory stays flat, since no line or entry longer than a limit is kept.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

from ledger.errors import (
    InvalidFieldError,
    LedgerError,
    MalformedError,
    NotJsonError,
    SubmissionError,
    TooLargeError,
    UsageError,
)
from ops.importers.acl import papers_from_collection
from ops.importers.arxiv import ATOM, paper_from_kaggle, papers_from_atom
from ops.importers.drafts import Draft, Paper, draft_of
from ops.importers.plain import paper_from_plain
from ops.importers.public import draft_from_bundle, drafts_from_record_document
from ops.importers.strict import decode_object
from ops.importers.xml_stream import root_tag

MAX_LINE_BYTES: Final = 4 * 1024 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER = 1024 * 1024
_BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Line:
    """One line or entry: its draft, or why there is none.

    `number` counts lines (or XML entries) from 1; `offset` is how many bytes of the file (compressed
    bytes, where it is compressed) have been read, for a progress bar.
    """

    number: int
    draft: Draft | None
    error: LedgerError | None
    offset: int


@dataclass(frozen=True, slots=True)
class Source:
    """One line or entry before it is worked out: JSON text, a parsed paper, or the error that stands for it."""

    number: int
    content: bytes | Paper | LedgerError
    offset: int


def size(path: Path) -> int:
    """Return the size of the file in bytes, the end of the progress bar.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None


def read(path: Path) -> Iterator[Line]:
    """Read a file's papers in order; raises as `sources` does."""
    return map(worked_out, sources(path))


def sources(path: Path) -> Iterator[Source]:
    """Read a file line by line (or entry by entry) without working out what they say.

    Raises:
        UsageError: the file cannot be opened. Everything else comes as the content of a source.
    """
    try:
        form = _form(path)
        if form == "xml":
            yield from _xml_entries(path)
        elif form == "document":
            yield Source(1, *_whole(path))
        else:
            yield from _json_lines(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def worked_out(source: Source) -> Line:
    """Turn one source into a draft, or the reason why it is none."""
    content = source.content
    try:
        if isinstance(content, LedgerError):
            raise content
        draft = draft_from_json(content) if isinstance(content, bytes) else draft_of(content)
    except LedgerError as error:
        return Line(source.number, None, error, source.offset)
    return Line(source.number, draft, None, source.offset)


def draft_from_json(raw: bytes) -> Draft:
    """Read one JSON object of any known form.

    Raises:
        SubmissionError: one child for each way it cannot be read.
    """
    found = decode_object(raw)
    if "record_type" in found:
        return drafts_from_record_document(raw)
    if "bundle_type" in found:
        return draft_from_bundle(raw)
    if isinstance(found.get("source"), str) or isinstance(found.get("kind"), str):
        return draft_of(paper_from_plain(found))
    if "id" in found and ("versions" in found or isinstance(found.get("categories"), str)):
        return draft_of(paper_from_kaggle(found))
    raise InvalidFieldError(
        "the object is of no known form",
        cure="give arXiv snapshot lines, plain lines with source and id, or the registry's record documents",
    )


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, handed out as soon as it is unpacked, so that a torn tail loses nothing before it."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        chunk = self._packed.read1(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file; yield the stream of its content and the raw file, whose position shows the progress."""
    with path.open("rb") as raw:
        if raw.peek(2)[:2] == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw) as packed:
                yield io.BufferedReader(_Unpacked(packed), _BUFFER), raw
        else:
            yield raw, raw


def _form(path: Path) -> str:
    with _opened(path) as (stream, _):
        try:
            first = _first_line(stream)
        except _BROKEN_GZIP:
            return "lines"
    if first.removeprefix(b"\xef\xbb\xbf").startswith(b"<"):
        return "xml"
    if first.startswith(b"{"):
        try:
            decode_object(first)
        except NotJsonError:
            return "document" if _is_document(path) else "lines"
        except SubmissionError:
            pass
    return "lines"


def _first_line(stream: BinaryIO) -> bytes:
    for _ in range(1000):
        line = stream.readline(MAX_LINE_BYTES)
        if not line or not line.isspace():
            return line.strip()
    return b""


def _is_document(path: Path) -> bool:
    try:
        decode_object(_whole(path)[0])
    except NotJsonError:
        return False
    except SubmissionError:
        pass  # one whole object, though not a good one: its error is told when it is read
    return True


def _whole(path: Path) -> tuple[bytes, int]:
    with _opened(path) as (stream, raw):
        try:
            content = stream.read(MAX_LINE_BYTES + 1)
        except _BROKEN_GZIP:
            content = b""
        if len(content) > MAX_LINE_BYTES:
            content = b""
        return content.strip(), raw.tell()


def _json_lines(path: Path) -> Iterator[Source]:
    with _opened(path) as (stream, raw):
        number = 0
        try:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(_BUFFER)
                    too_long = TooLargeError(f"the line is longer than {MAX_LINE_BYTES} bytes")
                    yield Source(number, too_long, raw.tell())
                elif not line.isspace():
                    yield Source(number, line.strip(), raw.tell())
        except _BROKEN_GZIP as error:
            yield Source(number + 1, _broken(error), raw.tell())


def _xml_entries(path: Path) -> Iterator[Source]:
    numbers = count(1)
    with _opened(path) as (stream, _):
        try:
            root = root_tag(stream)
        except (*_BROKEN_GZIP, SubmissionError) as error:
            yield Source(1, error if isinstance(error, SubmissionError) else _broken(error), size(path))
            return
    readers = {f"{ATOM}feed": papers_from_atom, f"{ATOM}entry": papers_from_atom, "collection": papers_from_collection}
    if root not in readers:
        unknown = InvalidFieldError(
            f"unknown root element {root[:80]!r}", cure="give an Atom feed or an ACL collection"
        )
        yield Source(1, unknown, size(path))
        return
    with _opened(path) as (stream, raw):
        try:
            for found in readers[root](stream):
                yield Source(next(numbers), found, raw.tell())
        except SubmissionError as error:
            yield Source(next(numbers), error, raw.tell())
        except _BROKEN_GZIP as error:
            yield Source(next(numbers), _broken(error), raw.tell())


def _broken(error: Exception) -> MalformedError:
    return MalformedError(
        f"the gzip file cannot be read on: {error}", cure="fetch the file again; what was read before it is good"
    )


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read: {error.strerror or error}", cure="check the path and its permissions")
