"""Canonical bytes: RFC 8785 on the values that can be signed, and a named refusal of every other text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import canonical
from ledger.canonical import MAX_DEPTH, MAX_EVENT_BYTES, MAX_INTEGER
from ledger.errors import (
    DuplicateKeyError,
    FloatError,
    IntegerRangeError,
    LoneSurrogateError,
    MalformedError,
    NotCanonicalError,
    NotJsonError,
    TooDeepError,
    TooLargeError,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "rfc8785-jcs"
WITH_FLOATS = {"structures", "values"}
NAMES = sorted(path.stem for path in (VECTORS / "input").iterdir())

texts = st.text(st.characters(exclude_categories=("Cs",))) | st.sampled_from(
    [
        "\x00\x1f\b\t\n\f\r",
        '"\\/',
        "\x7f\x80",
        "\u2028\u2029",
        "\ufb33",
        "\uffff",
        "\U00010000",
        "😂",
        "\U0010ffff",
        "\u00e9",
        "e\u0301",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(texts, children, max_size=5),
    max_leaves=20,
)
SPELLINGS = {
    "indented": lambda value: json.dumps(value, indent=2),
    "escaped": lambda value: json.dumps(value, ensure_ascii=True),
    "spaced": lambda value: f" \t\r\n{json.dumps(value, ensure_ascii=False)}\n",
    "backwards": lambda value: json.dumps(_backwards(value), ensure_ascii=False, separators=(",", ":")),
}


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in sorted(value, reverse=True)}
    return [_backwards(item) for item in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    """Compare JSON values without taking True for 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


# Known answers.


def test_the_official_vectors_are_all_there() -> None:
    assert NAMES == ["arrays", "french", "structures", "unicode", "values", "weird"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_FLOATS])
def test_encode_gives_the_official_bytes(name: str) -> None:
    value = canonical.decode((VECTORS / "input" / f"{name}.json").read_bytes())
    assert canonical.encode(value) == (VECTORS / "output" / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_FLOATS])
def test_encode_gives_the_official_bytes_as_published_in_hex(name: str) -> None:
    value = canonical.decode((VECTORS / "input" / f"{name}.json").read_bytes())
    assert canonical.encode(value) == bytes.fromhex((VECTORS / "outhex" / f"{name}.txt").read_text())


@pytest.mark.parametrize("name", sorted(WITH_FLOATS))
def test_decode_refuses_the_official_vectors_that_hold_floats(name: str) -> None:
    with pytest.raises(FloatError):
        canonical.decode((VECTORS / "input" / f"{name}.json").read_bytes())


def test_keys_are_ordered_by_utf16_units_not_by_code_points() -> None:
    assert canonical.encode({"\ufb33": 1, "😂": 2}) == '{"😂":2,"\ufb33":1}'.encode()


def test_keys_are_ordered_by_utf16_units_inside_lists_and_objects() -> None:
    inner = {"\uffff": 1, "\U00010000": 2}
    assert canonical.encode({"a": [inner]}) == '{"a":[{"\U00010000":2,"\uffff":1}]}'.encode()


# Properties.


@given(values)
@example({"\ufb33": {"😂": 1, "\uffff": 2}})
@example([MAX_INTEGER, -MAX_INTEGER, 0])
def test_encode_gives_the_bytes_of_an_independent_implementation(value: Any) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(values)
def test_decode_gives_back_what_was_encoded(value: Any) -> None:
    assert same(canonical.decode(canonical.encode(value)), value)


@given(values)
def test_decode_canonical_gives_back_what_was_encoded(value: Any) -> None:
    assert same(canonical.decode_canonical(canonical.encode(value)), value)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=values)
def test_decode_reads_any_spelling_as_the_same_value(spelling: str, value: Any) -> None:
    assert same(canonical.decode(SPELLINGS[spelling](value).encode()), value)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=values)
def test_decode_canonical_refuses_any_other_spelling(spelling: str, value: Any) -> None:
    raw = SPELLINGS[spelling](value).encode()
    if raw == canonical.encode(value):
        assert same(canonical.decode_canonical(raw), value)
    else:
        with pytest.raises(NotCanonicalError):
            canonical.decode_canonical(raw)


@given(st.binary(max_size=200) | st.text('[]{}:,"\\u0dD8eE+-.19 truefalsn', max_size=60).map(str.encode))
@example(b"9" * 5000)
@example(b'{"' + b"\xed\xa0\x80" + b'":1}')
def test_decode_raises_nothing_but_malformed_errors(raw: bytes) -> None:
    try:
        value = canonical.decode(raw)
    except MalformedError:
        return
    assert same(value, json.loads(raw))


@given(st.binary(max_size=200))
def test_decode_canonical_raises_nothing_but_malformed_errors(raw: bytes) -> None:
    try:
        value = canonical.decode_canonical(raw)
    except MalformedError:
        return
    assert canonical.encode(value) == raw


# Refusals, by name.

NOT_JSON = {
    "empty": b"",
    "only white space": b" \n",
    "no JSON": b"hello",
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "trailing garbage": b'{"a":1}x',
    "two values": b'{"a":1}{"a":1}',
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "comment": b"[1/*one*/]",
    "leading zero": b"[01]",
    "plus sign": b"[+1]",
    "unfinished": b'{"a":[1',
    "control character": b'"\x01"',
    "unknown escape": b'"\\x41"',
    "NaN": b"NaN",
    "NaN inside": b'{"a":[NaN]}',
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "invalid UTF-8": b'"\xff"',
    "invalid UTF-8 in a key": b'{"\xc3":1}',
    "overlong UTF-8": b'"\xc0\xaf"',
    "raw surrogate": b'"\xed\xa0\x80"',
    "raw surrogate in a key": b'{"\xed\xb0\x80":1}',
    "raw surrogate pair": b'"\xed\xa0\xbd\xed\xb8\x82"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
}


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_decode_refuses_what_is_not_json(raw: bytes) -> None:
    with pytest.raises(NotJsonError):
        canonical.decode(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1,"b":2,"\\u0061":3}',
        b'{"b":{"a":1,"a":2}}',
        b'[[[{"x":[{"a":1,"a":2}]}]]]',
        b'{"":0,"":0}',
    ],
)
def test_decode_refuses_a_duplicate_key_at_any_depth(raw: bytes) -> None:
    with pytest.raises(DuplicateKeyError):
        canonical.decode(raw)


@pytest.mark.parametrize(
    "raw", [b"1.0", b"[0.5]", b'{"a":-0.0}', b"1e5", b"[1E5]", b"[1e-5]", b"1e400", b"-0", b"[-0]", b'{"a":-0}']
)
def test_decode_refuses_fractions_exponents_and_minus_zero(raw: bytes) -> None:
    with pytest.raises(FloatError):
        canonical.decode(raw)


@pytest.mark.parametrize(
    "number",
    [2**53, -(2**53), 2**53 + 1, 2**63, -(2**63), 2**64, 10**18, 10**25, -(10**25), 10**400],
    ids=lambda n: f"{n:.0e}" if abs(n) < 10**300 else "1e+400",
)
@pytest.mark.parametrize("spelling", ["{}", "[{}]", '{{"a":{}}}', "[ {} ]"])
def test_decode_refuses_an_integer_out_of_range(number: int, spelling: str) -> None:
    with pytest.raises(IntegerRangeError):
        canonical.decode(spelling.format(number).encode())


def test_decode_refuses_an_integer_of_thousands_of_digits_as_out_of_range() -> None:
    with pytest.raises(IntegerRangeError):
        canonical.decode(b"9" * 5000)


@pytest.mark.parametrize("number", [MAX_INTEGER, -MAX_INTEGER])
def test_decode_takes_the_outermost_integers(number: int) -> None:
    assert canonical.decode(b"[%d]" % number) == [number]


@pytest.mark.parametrize(
    "raw",
    [
        rb'"\ud800"',
        rb'"\udc00"',
        rb'"a\udbffb"',
        rb'"\ud83d\ud83d\ude02"',
        rb'"\ude02\ud83d"',
        rb'{"\ud800":1}',
        rb'[{"a":{"x\udfff":1}}]',
    ],
)
def test_decode_refuses_a_lone_surrogate(raw: bytes) -> None:
    with pytest.raises(LoneSurrogateError):
        canonical.decode(raw)


def test_decode_takes_a_surrogate_pair() -> None:
    assert canonical.decode(rb'"\ud83d\ude02"') == "😂"


def test_decode_takes_the_greatest_depth() -> None:
    assert canonical.encode(canonical.decode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


@pytest.mark.parametrize(
    "raw",
    [
        nested(MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[ " * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        nested(1_000),
        nested(30_000),
        b"[" * 60_000,
        b'{"a":' * 12_000,
    ],
    ids=["one more", "objects", "spaced", "a thousand", "a bomb", "an open bomb", "a bomb of objects"],
)
def test_decode_refuses_what_is_nested_too_deep(raw: bytes) -> None:
    with pytest.raises(TooDeepError):
        canonical.decode(raw)


def test_decode_counts_depth_not_brackets() -> None:
    value = [[]] * 100
    assert canonical.decode(canonical.encode(value)) == value


def test_decode_takes_text_of_the_greatest_size() -> None:
    assert canonical.decode(b'"%s"' % (b"a" * (MAX_EVENT_BYTES - 2))) == "a" * (MAX_EVENT_BYTES - 2)


@pytest.mark.parametrize("decode", [canonical.decode, canonical.decode_canonical])
def test_decode_refuses_one_byte_too_many(decode: Any) -> None:
    with pytest.raises(TooLargeError):
        decode(b'"%s"' % (b"a" * (MAX_EVENT_BYTES - 1)))


def test_decode_keeps_a_smaller_limit_that_the_caller_sets() -> None:
    with pytest.raises(TooLargeError):
        canonical.decode(b"[1,2]", max_bytes=4)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.0, FloatError),
        ({"a": [0.5]}, FloatError),
        (float("nan"), FloatError),
        (float("inf"), FloatError),
        (2**53, IntegerRangeError),
        ([-(2**53)], IntegerRangeError),
        (2**70, IntegerRangeError),
        ("\ud800", LoneSurrogateError),
        ({"\udfff": 1}, LoneSurrogateError),
        ({1: 2}, NotJsonError),
        ({None: 2}, NotJsonError),
        (b"bytes", NotJsonError),
        ({"a": {1, 2}}, NotJsonError),
        pytest.param(object(), NotJsonError, id="an object"),
    ],
    ids=repr,
)
def test_encode_refuses_a_value_that_cannot_be_signed(value: Any, error: type[MalformedError]) -> None:
    with pytest.raises(error):
        canonical.encode(value)


def test_encode_refuses_a_value_that_is_nested_too_deep() -> None:
    with pytest.raises(TooDeepError):
        canonical.encode(json.loads(nested(MAX_DEPTH + 1)))


def test_encode_refuses_a_value_that_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TooDeepError):
        canonical.encode(value)
