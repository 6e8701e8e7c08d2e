"""Files of metadata: read line by line whatever their form, and one bad line stops nothing."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical, records
from ledger.errors import (
    DuplicateKeyError,
    IntegerRangeError,
    InvalidFieldError,
    LedgerError,
    LoneSurrogateError,
    MalformedError,
    NotJsonError,
    SubmissionError,
    TooDeepError,
    TooLargeError,
    UsageError,
)
from ops.importers import files
from ops.importers.strict import decode_object
from tests.ops.homes import PUBLISHED
from tests.ops.sources import KAGGLE, RECORDS, bundle, plain, seed, written


def test_one_file_may_mix_json_lines_of_all_forms(tmp_path: Path) -> None:
    lines = [plain(), b"\n", json.loads(KAGGLE[0]), b"  \t\n", PUBLISHED[0].read_bytes() + b"\n", json.loads(bundle())]
    for content in (written(tmp_path, lines), written(tmp_path, gzip.compress(written(tmp_path, lines).read_bytes()))):
        found = list(files.read(content))
        assert [line.number for line in found] == [1, 3, 5, 6]
        assert all(line.error is None for line in found)
        assert found[1].draft is not None and found[1].draft.subject == RECORDS["1304.6709"]["pith_number"]


GOOD = json.dumps(plain()).encode() + b"\n"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b"not json", NotJsonError),
        (b'{"title":', NotJsonError),
        (b"[1]", NotJsonError),
        (b"null", NotJsonError),
        (b'{"a":NaN}', NotJsonError),
        (b'{"a":"\xff"}', NotJsonError),
        (b'{"a":"\x00"}', NotJsonError),
        (b"\x00\x00\x00", NotJsonError),
        (b'\xef\xbb\xbf{"a":1}', NotJsonError),
        (b'{"a":1,"a":1}', DuplicateKeyError),
        (b'{"a":{"b":[{"c":1,"c":2}]}}', DuplicateKeyError),
        (b'{"a":"\\ud800"}', LoneSurrogateError),
        (b'{"\\udc00":1}', LoneSurrogateError),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", TooDeepError),
        (b'{"a":' + b"9" * 5_000 + b"}", IntegerRangeError),
        (b'{"a":"' + b"x" * files.MAX_LINE_BYTES + b'"}', TooLargeError),
        (b"{}", InvalidFieldError),
        (b'{"id":"1304.6709"}', InvalidFieldError),
        (json.dumps(plain(title="a\x00b")).encode(), InvalidFieldError),
    ],
    ids=range(19),
)
@pytest.mark.parametrize("packed", [False, True])
def test_one_bad_line_does_not_stop_the_file(
    tmp_path: Path, bad: bytes, error: type[LedgerError], packed: bool
) -> None:
    for content in (GOOD + bad + b"\n" + GOOD, bad + b"\n" + GOOD, GOOD + bad):
        path = written(tmp_path, gzip.compress(content, 1) if packed else content)
        found = list(files.read(path))
        wrong = [line for line in found if line.error]
        assert [type(line.error) for line in wrong] == [error]
        assert len(found) == content.count(GOOD) + 1
        assert wrong[0].number == (1 if content.startswith(bad) else 2)


def test_surrogate_pairs_and_escaped_letters_are_fine() -> None:
    assert decode_object(b'{"a":"\\ud83d\\ude00 \\u00e9"}') == {"a": "\U0001f600 é"}


def test_a_torn_gzip_file_yields_its_good_lines_and_then_the_error(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(json.dumps(plain(id=f"P18-{n}")).encode() + b"\n" for n in range(1001, 4000)))
    for content in (whole[:-4000], whole[:-8] + b"\0" * 8, whole[:20_000] + b"\xff" * 4000, whole + b"garbage"):
        found = list(files.read(written(tmp_path, content)))
        assert isinstance(found[-1].error, MalformedError)
        assert "gzip" in str(found[-1].error) and found[-1].error.cure
        assert all(line.draft for line in found[:-1])
    assert len(found) == 3000


@pytest.mark.parametrize("part", ["graph_snapshot", "paper", "aliases", "canonical_record", "other"])
def test_any_depth_is_read_or_refused(part: str) -> None:
    for depth in range(900, 1001):
        text = json.dumps(json.loads(seed(**{part: ...})))[:-1] + f', "{part}": {"[" * depth}{"]" * depth}}}'
        try:
            files.draft_from_json(text.encode())
        except SubmissionError:
            continue


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    assert len(list(files.read(written(tmp_path, gzip.compress(GOOD) * 3)))) == 3


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        for _ in range(64):
            stream.write(b"a" * (1 << 20))
        stream.write(b"\n" + GOOD)
    path = written(tmp_path, packed.getvalue())
    tracemalloc.start()
    found = list(files.read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(line.error) for line in found] == [TooLargeError, type(None)]
    assert peak < 32 * 1024 * 1024


def test_an_empty_file_has_no_lines_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for content in (b"", b"\n \n", gzip.compress(b"")):
        assert list(files.read(written(tmp_path, content))) == []
    with pytest.raises(UsageError, match="cannot be read"):
        list(files.read(tmp_path / "missing"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(files.read(tmp_path))
    with pytest.raises(UsageError, match="cannot be read"):
        files.size(tmp_path / "missing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    base=st.sampled_from([plain(), json.loads(KAGGLE[0]), json.loads(PUBLISHED[0].read_bytes()), json.loads(bundle())]),
    data=st.data(),
)
@settings(max_examples=400, deadline=None)
def test_any_change_to_a_good_object_is_read_or_refused_but_never_crashes(base: dict[str, Any], data: Any) -> None:
    changed = json.loads(json.dumps(base))
    target: Any = changed
    while True:
        step: Any = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else list(range(len(target)))))
        inner = target[step]
        if not inner or not isinstance(inner, dict | list) or data.draw(st.booleans()):
            target[step] = data.draw(JSON)
            break
        target = inner
    try:
        draft = files.draft_from_json(json.dumps(changed).encode())
    except SubmissionError as error:
        assert error.message
    else:
        records.check_record(draft.canonical_record, draft.subject)
        canonical.encode(draft.paper)
        canonical.encode(draft.aliases)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_line_by_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    for line in files.read(path):
        assert isinstance(line.error, SubmissionError)
