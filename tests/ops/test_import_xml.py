"""XML of whatever source: no document types, no entities, no endless entries."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ledger.errors import MalformedError, TooLargeError
from ops.importers import files
from tests.ops.sources import COACH, atom, collection, entry, written


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE collection [<!ENTITY a "b">]>',
        '<!DOCTYPE collection SYSTEM "file:///etc/passwd">',
    ],
)
def test_document_types_and_entities_are_refused(tmp_path: Path, prologue: str) -> None:
    (line,) = files.read(written(tmp_path, prologue.encode() + collection(COACH).partition(b"\n")[2]))
    assert isinstance(line.error, MalformedError)
    assert "document type or entities" in str(line.error)


def test_broken_xml_yields_what_came_before_and_then_the_error(tmp_path: Path) -> None:
    content = atom(*[entry(f"1304.{number}v1") for number in range(1000, 1040)])
    found = list(files.read(written(tmp_path, content[:-2000])))
    assert all(line.draft for line in found[:-1]) and len(found) > 30
    assert isinstance(found[-1].error, MalformedError) and found[-1].number == len(found)


@pytest.mark.parametrize(
    "content", [b"<html/>", b"<", b"<?xml version='1.0' encoding='klingon'?><feed/>", b"<feed>\xff</feed>"]
)
def test_other_xml_is_refused(tmp_path: Path, content: bytes) -> None:
    (line,) = files.read(written(tmp_path, content))
    assert isinstance(line.error, MalformedError)


def test_an_endless_xml_entry_is_refused_without_being_kept(tmp_path: Path) -> None:
    content = atom(entry(), entry(abstract="a" * (5 * 1024 * 1024)))
    found = list(files.read(written(tmp_path, gzip.compress(content, 1))))
    assert [type(line.error) for line in found] == [type(None), TooLargeError]
