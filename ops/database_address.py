"""The address of a PostgreSQL database, as libpq writes it, and how it may be shown: without what is secret in it.

    postgresql://USER:PASSWORD@HOST[:PORT][,HOST…]/DATABASE[?PARAMETER=VALUE&…]

(PostgreSQL documentation, "Connection URIs".) It is passed on as it stands; what is read here is only what has to be
refused before anybody connects, and what may be printed.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from ledger.errors import UsageError

SCHEMES: Final = ("postgresql", "postgresql+psycopg")
SHOWN_PARAMETERS: Final = frozenset(
    {"application_name", "connect_timeout", "host", "port", "service", "sslmode", "target_session_attrs", "user"}
)
"""What is shown of the parameters: any other may hold a secret, and new ones come with each release of libpq."""

MAX_SCHEMA: Final = 40
"""PostgreSQL cuts names after 63 bytes without a word; `_private` and the like follow."""

# libpq ends what belongs to the user at a slash: part of a password would be asked for as a host or a database.
_ADDRESS: Final = re.compile(
    r"([a-z+]+)://(?:(?P<user>[^/]*)@)?(?P<hosts>[^/@?]*)/(?P<name>[^/?@]+)(?:\?(?P<query>.*))?"
)
_NO_TEXT: Final = re.compile("[\x00-\x20\x7f]")
_SCHEMA: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_CURE: Final = "give postgresql://USER:PASSWORD@HOST/DATABASE, its special characters percent-encoded"


def check_address(url: str, place: str) -> None:
    """Refuse what is no address of a PostgreSQL database; what is wrong with it is said without repeating it.

    Raises:
        UsageError: another scheme, no database, or characters that no address has.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None or found[1] not in SCHEMES or _NO_TEXT.search(url):
        raise UsageError("this is no address of a PostgreSQL database", place=place, cure=_CURE)


def shown(url: str) -> str:
    """Return an address for people to read: its password is gone, as is each parameter that may hold a secret."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return "(unreadable)"
    user = re.split("[:@/?]", found["user"] or "")[0]
    pairs = parse_qsl(found["query"] or "", keep_blank_values=True)
    kept = "&".join(f"{name}={value}" for name, value in pairs if name in SHOWN_PARAMETERS)
    return f"postgresql://{user}{'@' if user else ''}{found['hosts']}/{found['name']}{'?' if kept else ''}{kept}"


def check_schema(prefix: str, place: str) -> None:
    """Refuse what cannot begin the names of schemas; raises UsageError."""
    if not _SCHEMA.fullmatch(prefix) or len(prefix) > MAX_SCHEMA or prefix.startswith("pg_"):
        cure = f"use up to {MAX_SCHEMA} of a-z, 0-9 and underscore, beginning with a letter, such as pith"
        raise UsageError(f"{prefix[:80]!r} is no name for schemas", place=place, cure=cure)
