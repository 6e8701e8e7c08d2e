"""JSON as other people write it, read strictly.

Sources may use floats, which signed values may not; everything else that makes a JSON text mean
different things to different readers is refused: duplicate keys, lone surrogates, NaN, other encodings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from ledger.errors import (
    DuplicateKeyError,
    IntegerRangeError,
    InvalidFieldError,
    LoneSurrogateError,
    MissingFieldError,
    NotJsonError,
    TooDeepError,
)

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKeyError(f"the key {key[:80]!r} occurs twice in one object")
            seen.add(key)
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise NotJsonError(f"{text} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def decode_object(raw: bytes) -> dict[str, Any]:
    """Parse the UTF-8 text of one JSON object; floats are allowed.

    Raises:
        MalformedError: one child for each way the text can be unreadable.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(f"byte {error.start} is not UTF-8") from None
    try:
        value = _decoder.decode(text)
        if _SURROGATE_ESCAPE.search(text):
            _check_surrogates(value)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg.lower()}, line {error.lineno} column {error.colno}") from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise IntegerRangeError("an integer of thousands of digits") from None
    except RecursionError:
        raise TooDeepError("nested too deep to be read") from None
    if not isinstance(value, dict):
        raise NotJsonError(f"the text is no JSON object but a {type(value).__name__}")
    return value


def _check_surrogates(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LoneSurrogateError(f"U+{ord(text[error.start]):04X} stands alone") from None


def optional_text(found: Mapping[str, Any], key: str) -> str:
    """Return a string member, or "" where it is missing or null.

    Raises:
        InvalidFieldError: it is of another type.
    """
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidFieldError(f"{key} is a {type(value).__name__}, not a string", place=key)
    return value


def required_text(found: Mapping[str, Any], key: str) -> str:
    """Return a string member that holds more than white space.

    Raises:
        MissingFieldError: it is missing, null or blank.
        InvalidFieldError: it is of another type.
    """
    value = optional_text(found, key)
    if not value.strip():
        raise MissingFieldError(f"there is no {key}", place=key)
    return value


def optional_list(found: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list member, or an empty list where it is missing or null.

    Raises:
        InvalidFieldError: it is of another type.
    """
    value = found.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidFieldError(f"{key} is a {type(value).__name__}, not a list", place=key)
    return value
