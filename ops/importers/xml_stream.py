"""XML read as a stream: no DTD, no entities, and never more than one entry in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import iterparse  # type: ignore[import-untyped]

from ledger.errors import MalformedError, TooLargeError

MAX_ENTRY_BYTES: Final = 4 * 1024 * 1024


class XmlStream:
    """The elements of a binary stream, in order; `entry_done` lets the next entry take its share of memory.

    Args:
        source: the bytes of one XML document.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._since_entry = 0

    def read(self, size: int = -1) -> bytes:
        """Hand the parser its next bytes (this object is the parser's file)."""
        chunk = self._source.read(size)
        self._since_entry += len(chunk)
        if self._since_entry > MAX_ENTRY_BYTES:
            raise TooLargeError(f"one entry is longer than {MAX_ENTRY_BYTES} bytes")
        return chunk

    def entry_done(self, parent: Element) -> None:
        """Drop what was read below `parent`, whose entry has been dealt with."""
        parent.clear()
        self._since_entry = 0

    def events(self) -> Iterator[tuple[str, Element]]:
        """Yield ("start", element) and ("end", element); at the start only the attributes are there.

        Raises:
            MalformedError: not well-formed, in an unknown encoding, or with a DTD or entities.
            TooLargeError: an entry longer than MAX_ENTRY_BYTES.
        """
        try:
            yield from iterparse(self, events=("start", "end"), forbid_dtd=True)
        except DefusedXmlException:
            raise MalformedError(
                "the XML holds a document type or entities", cure="remove the <!DOCTYPE …>: it is never needed here"
            ) from None
        except (ParseError, LookupError, ValueError) as error:
            raise MalformedError(f"not well-formed XML: {error}", cure="fetch the file again") from None


def root_tag(source: BinaryIO) -> str:
    """Return the tag of the root element, `{namespace}name`.

    Raises:
        MalformedError: the document does not come as far as a root element.
    """
    for _, element in XmlStream(source).events():
        return element.tag
    raise MalformedError("the XML holds no element")


def flat_text(element: Element | None) -> str:
    """Return the text of an element without its mark-up, white-space runs made one space."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
