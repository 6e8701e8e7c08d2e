"""Canonical JSON bytes: RFC 8785 restricted to what signing needs.

A signed value holds objects, lists, strings, booleans, null and integers within ±(2^53-1). No floats,
no duplicate keys, no lone surrogates; depth and size are limited. `decode` refuses everything else
*before* any hash is taken, and `encode` gives the one byte string that such a value has.

msgspec does the heavy work. It agrees with RFC 8785 on these values except that it orders keys by
code point where the RFC orders by UTF-16 unit; the two differ only when a character beyond U+FFFF is
involved, so those values take the slow road.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from ledger.errors import (
    DuplicateKeyError,
    FloatError,
    IntegerRangeError,
    LoneSurrogateError,
    NotCanonicalError,
    NotJsonError,
    TooDeepError,
    TooLargeError,
)

T = TypeVar("T")

MAX_EVENT_BYTES = 65_527
"""An entry bundle (C2SP tlog-tiles) gives a leaf 16 bits of length; eight bytes of it are `received_at`."""

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

_LONG_NUMBER = re.compile(rb"(?:^|[:,\[])-?[0-9]{16}")
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_RUN = b"0" * 16
_BELOW_ASTRAL = bytes(range(0xF0))
_encoder = msgspec.json.Encoder(order="sorted")


def refuse_float(text: str) -> NoReturn:
    """Refuse a number that is not an integer; for decoders of signed values."""
    raise FloatError(f"{text} is not an integer")


_decoder = msgspec.json.Decoder(float_hook=refuse_float)


def encode(value: Any) -> bytes:
    """Return the canonical bytes (UTF-8) of a JSON value.

    Raises:
        FloatError, IntegerRangeError, LoneSurrogateError, TooDeepError: the value cannot be signed.
    """
    try:
        raw = encode_decoded(value)
        if is_sure(raw) and _decoder.decode(raw) == value:
            return raw
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError, FloatError):
        pass  # the check below finds the reason in words
    _check(value, 0)
    return encode_decoded(value)


def encode_decoded(value: Any) -> bytes:
    """Return the canonical bytes of a value that `decode` gave, or of parts of it, without checking it again."""
    raw = _encoder.encode(value)
    if has_astral(raw):
        raw = msgspec.json.encode(_ordered_by_utf16(value))
    return raw


def decode_as(decoder: msgspec.json.Decoder[T], raw: bytes) -> T | None:
    """Return what a decoder of some form makes of canonical bytes; None where they are not that, or not surely.

    What has no bounds in the form itself, the caller checks with `is_sure`. The decoder refuses floats.
    """
    if has_astral(raw):
        return None  # the order of keys may be another than the encoder's
    try:
        value = decoder.decode(raw)
        return value if _encoder.encode(value) == raw else None
    except (msgspec.MsgspecError, FloatError, UnicodeError, RecursionError):
        return None


def has_astral(raw: bytes) -> bool:
    """Say whether there is a character beyond U+FFFF in UTF-8 text, by the lead bytes of such."""
    return not raw.isascii() and bool(raw.translate(None, _BELOW_ASTRAL))


def decode(raw: bytes, *, max_bytes: int = MAX_EVENT_BYTES) -> Any:
    """Parse JSON text strictly; any spelling and white space that JSON allows is fine.

    Raises:
        MalformedError: one child for each way the text can be unfit for signing.
    """
    try:
        return decode_canonical(raw, max_bytes=max_bytes)
    except NotCanonicalError:
        return _decode_slowly(raw)


def decode_canonical(raw: bytes, *, max_bytes: int = MAX_EVENT_BYTES) -> Any:
    """Parse bytes that must be their own canonical form, as stored events are.

    Raises:
        NotCanonicalError: valid JSON, but spelled otherwise than RFC 8785 does.
        MalformedError: not fit for signing at all.
    """
    if len(raw) > max_bytes:
        raise TooLargeError(f"{len(raw)} bytes, {max_bytes} are allowed")
    try:
        value = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, FloatError):
            raise error.__cause__ from None
        return _decode_slowly(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_slowly(raw)  # finds the reason in words
    if not is_sure(raw):
        _check(value, 0)
    if encode_decoded(value) != raw:
        raise NotCanonicalError("the bytes are not in canonical form", cure="see RFC 8785, or use `pith sign`")
    return value


def is_sure(raw: bytes, within: int = 0) -> bool:
    """Say whether JSON text is certainly within the limits of depth and integers, without walking it.

    Args:
        within: how deep the text stands in what is signed.
    """
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH - within:
        return False
    # A search for sixteen equal bytes is far cheaper than one for a number; hashes seldom hold such a run.
    return _LONG_RUN not in raw.translate(_DIGITS) or not _LONG_NUMBER.search(raw)


def _ordered_by_utf16(value: Any) -> Any:
    # RFC 8785 section 3.2.3: keys are compared as arrays of UTF-16 code units.
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _ordered_by_utf16(value[key]) for key in keys}
    if isinstance(value, list):
        return [_ordered_by_utf16(item) for item in value]
    return value


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_unicode(value)
    elif kind is dict:
        if depth == MAX_DEPTH:
            raise TooDeepError(f"nested more than {MAX_DEPTH} deep")
        for key, item in value.items():
            if type(key) is not str:
                raise NotJsonError(f"{key!r} is no object key")
            if not key.isascii():
                _check_unicode(key)
            _check(item, depth + 1)
    elif kind is list or kind is tuple:
        if depth == MAX_DEPTH:
            raise TooDeepError(f"nested more than {MAX_DEPTH} deep")
        for item in value:
            _check(item, depth + 1)
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise IntegerRangeError(f"{value} is out of range")
    elif kind is float:
        raise FloatError(f"{value!r} is not an integer")
    elif value is not None and kind is not bool:
        raise NotJsonError(f"{kind.__name__} is not a JSON type")


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LoneSurrogateError(f"U+{ord(text[error.start]):04X} stands alone") from None


def _decode_slowly(raw: bytes) -> Any:
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_float=refuse_float,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise NotJsonError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg.lower()}, line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise TooDeepError(f"nested more than {MAX_DEPTH} deep") from None
    _check(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DuplicateKeyError(f"the key {twice!r} stands more than once")
    return found


def _parse_integer(text: str) -> int:
    if text == "-0":
        raise FloatError("-0 is not an integer")
    if len(text) > 17:
        raise IntegerRangeError(f"{text[:17]}… is out of range")
    return int(text)


def _refuse_constant(text: str) -> NoReturn:
    raise NotJsonError(f"{text} is not JSON")
