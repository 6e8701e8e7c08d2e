"""Files that are there in full or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.whole_files import write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "note", b"a long first content")
    write_whole(tmp_path / "note", b"second")
    assert (tmp_path / "note").read_bytes() == b"second"


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([65 + at]) * 50_000 for at in range(16)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: write_whole(tmp_path / "note", content), contents * 4))
    assert (tmp_path / "note").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "note").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "note", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
