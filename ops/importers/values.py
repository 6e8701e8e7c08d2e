"""Single values as sources write them, brought to one form: dates, DOIs, ORCID iDs, white space."""

from __future__ import annotations

import re

from ledger import records
from ledger.errors import InvalidFieldError
from ledger.subjects import Alias, normal_doi

_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})Z)?)?)?", re.ASCII)
_ORCID = re.compile(r"(?:https?://orcid\.org/)?([0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X])", re.IGNORECASE | re.ASCII)


def one_line(text: str) -> str:
    """Return a text with its white-space runs made one space; the public rule hashes both alike."""
    return " ".join(text.split())


def complete_date(text: str, place: str = "date") -> tuple[str, str]:
    """Complete `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a whole instant to its first instant in UTC.

    Returns:
        the instant as `YYYY-MM-DDTHH:MM:SSZ`, and the precision: year, month, day or second.

    Raises:
        InvalidFieldError: another form, or a day that does not exist.
    """
    found = _DATE.fullmatch(text.strip())
    if not found:
        raise InvalidFieldError(f"{text[:40]!r} is no date", place=place, cure="write YYYY, YYYY-MM or YYYY-MM-DD")
    year, month, day, time = found.groups()
    precision = "second" if time else "day" if day else "month" if month else "year"
    instant = f"{year}-{month or '01'}-{day or '01'}T{time or '00:00:00'}Z"
    records.check_time(instant, place)
    return instant, precision


def doi_aliases(text: str) -> tuple[Alias, ...]:
    """Return the DOIs that a source's DOI field names; some name several, with white space between."""
    pieces = [text] if normal_doi(text) else re.split(r"[;,]?\s+", text.strip())
    return tuple({Alias("doi", found): None for piece in pieces if (found := normal_doi(piece))})


def normal_orcid(text: str, place: str = "orcid") -> str:
    """Return an ORCID iD in its bare form, `0000-0002-1825-0097`.

    Raises:
        InvalidFieldError: another form, or the last character is not the ISO 7064 MOD 11-2 check digit.
    """
    found = _ORCID.fullmatch(text.strip())
    if not found:
        raise InvalidFieldError(f"{text[:40]!r} is no ORCID iD", place=place)
    orcid = found[1].upper()
    digits = orcid.replace("-", "")
    total = 0
    for digit in digits[:15]:
        total = (total + int(digit)) * 2
    if "0123456789X"[(12 - total % 11) % 11] != digits[15]:
        raise InvalidFieldError(f"the check digit of {orcid} is wrong", place=place, cure="check the spelling")
    return orcid
