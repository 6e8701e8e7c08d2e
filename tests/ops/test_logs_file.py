"""`logs.toml`: what it says, what is added to it, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.logs_file import LOGS_FILE, Logs, OtherLog, begin_logs, note_log, read_logs
from ops.settings import read_settings


def written(folder: Path, text: str) -> Path:
    (folder / LOGS_FILE).write_text(text)
    return folder


def test_a_folder_without_the_file_holds_the_only_log(tmp_path: Path) -> None:
    assert read_logs(tmp_path) == Logs("", ())
    assert read_settings({"PITH_DATA": str(tmp_path)}).label == ""


def test_what_is_noted_is_read_back_from_wherever_the_folders_are_moved_together(tmp_path: Path) -> None:
    first, beside = tmp_path / "a" / "first", tmp_path / "a" / 'be"side ü'
    first.mkdir(parents=True)
    beside.mkdir()
    begin_logs(beside, "2027")
    note_log(beside, OtherLog("", first, "https://pith.example"))
    note_log(first, OtherLog("2027", beside))
    (tmp_path / "a").rename(tmp_path / "b")
    moved = tmp_path / "b"
    assert read_logs(moved / "first") == Logs("", (OtherLog("2027", moved / 'be"side ü'),))
    found = read_logs(moved / 'be"side ü')
    assert found == Logs("2027", (OtherLog("", moved / "first", "https://pith.example"),))
    assert found.first == found.others[0]
    assert read_settings({"PITH_DATA": str(moved / 'be"side ü')}).label == "2027"


def test_what_an_operator_wrote_stays(tmp_path: Path) -> None:
    text = '# ours\n[[log]]\nlabel = "2026"  # last year\ndata = "../old"\n'
    note_log(written(tmp_path, text), OtherLog("2027", tmp_path / "new"))
    assert (tmp_path / LOGS_FILE).read_text().startswith(text.rstrip("\n"))
    assert [other.label for other in read_logs(tmp_path).others] == ["2026", "2027"]


def test_a_log_is_noted_once(tmp_path: Path) -> None:
    other = OtherLog("2027", tmp_path / "new")
    note_log(tmp_path, other)
    before = (tmp_path / LOGS_FILE).read_bytes()
    note_log(tmp_path, other)
    assert (tmp_path / LOGS_FILE).read_bytes() == before


def test_a_folder_that_was_begun_for_one_log_becomes_no_other(tmp_path: Path) -> None:
    begin_logs(tmp_path, "2027")
    begin_logs(tmp_path, "2027")
    with pytest.raises(UsageError, match="of the log '2027', not '2028'"):
        begin_logs(tmp_path, "2028")


@pytest.mark.parametrize(
    "text",
    [
        "[[log",
        "\x00",
        'labels = "2027"',
        "label = 2027",
        'label = "A"',
        'label = "a/b"',
        "log = 1",
        "log = [1]",
        '[[log]]\nlabel = "2027"',
        '[[log]]\ndata = "x"',
        '[[log]]\nlabel = "2027"\ndata = ""',
        '[[log]]\nlabel = "2027"\ndata = 1',
        '[[log]]\nlabel = "2027"\ndata = "x"\nroot = "y"',
        '[[log]]\nlabel = "../x"\ndata = "x"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "ftp://x"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://u:p@x"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://x/?q"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://[x"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://x:y"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://x y"',
        '[[log]]\nlabel = "2027"\ndata = "x"\naddress = "https://x/\\u000d\\u000aset-cookie: a"',
        '[[log]]\nlabel = "2027"\ndata = "x"\n[[log]]\nlabel = "2027"\ndata = "y"',
        'label = "2027"\n[[log]]\nlabel = "2027"\ndata = "y"',
    ],
)
def test_what_cannot_be_meant_is_refused_and_its_place_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_logs(written(tmp_path, text))
    assert str(tmp_path / LOGS_FILE) in caught.value.place
