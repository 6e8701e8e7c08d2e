"""Reading: what a paper is now or was then, what it is called, who cites it, what holds a word.

Everything returned is plain data. Names are resolved the same way everywhere: a suffix or its beginning,
a full or short Pith Number, or any alias; what names several papers is answered with the choices.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, select, text

from ledger.database import Database
from ledger.errors import AmbiguousError, InvalidFieldError, NotFoundError
from ledger.keyring import NOW
from ledger.record_state import fold
from ledger.registry import Registry
from ledger.store import Store
from ledger.subjects import Alias, interpret, is_number, parse_suffix
from projections.document import document
from projections.judged import Judged, judge
from projections.projectors import ALIASES, CITATIONS, RECORDS
from projections.writing import CURSORS

Document = dict[str, Any]
"""A record document in public key order; values are `msgspec.Raw` or plain, served keys null."""


@dataclass(frozen=True, slots=True)
class Named:
    """A paper found by name: its number, and the same work's other versions where the name had none.

    `work` (kind and id of the source) and `version` are known where it was found by an identifier.
    """

    subject: str
    other_versions: tuple[str, ...] = ()
    work: tuple[str, str] | None = field(default=None, compare=False)
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A paper's current view as it is kept: where its record stands, and its document's JSON."""

    subject: str
    position: int
    document: bytes

    def opened(self, anchored_size: int) -> Document:
        """Return the document, with what outside clocks vouch for by now (`Registry.anchored_size`) joined."""
        found: Document = msgspec.json.decode(self.document, type=dict[str, msgspec.Raw])
        return found | _anchored(found) if self.position < anchored_size else found


@dataclass(frozen=True, slots=True)
class Citation:
    """One signed citation, seen from either end."""

    cited: str
    citing: str
    relationship: str
    claim_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result."""

    subject: str
    title: str
    authors: str


def resolve(database: Database, name: str) -> Named:
    """Find the paper a text names.

    Raises:
        NotFoundError: nothing is called that.
        AmbiguousError: several different papers are.
    """
    with database.read() as connection:
        suffix = parse_suffix(name)
        if suffix is not None:
            found = _by_suffix(connection, suffix)
            if is_number(name.strip()):
                found = [row for row in found if row.subject == name.strip()]
            if len(found) > 1:
                raise AmbiguousError(f"{name[:80]!r} begins several numbers", [row.subject for row in found])
            if found:
                return Named(found[0].subject)
        for alias in interpret(name):
            named = _by_alias(connection, alias)
            if named is not None:
                return named
    raise NotFoundError(f"nothing here is called {name[:80]!r}")


def is_whole(name: str) -> bool:
    """Say whether a text is a whole Pith Number or suffix, which no second paper can have."""
    suffix = parse_suffix(name)
    return suffix is not None and len(suffix) == 26


def resolve_alias(database: Database, alias: Alias) -> Named:
    """Find the paper that an identifier of a known kind names; raises as `resolve` does."""
    with database.read() as connection:
        named = _by_alias(connection, alias)
    if named is None:
        raise NotFoundError(f"nothing here has the {alias.kind} {alias.value[:80]!r}")
    return named


def record(database: Database, subject: str, anchored_size: int) -> Document:
    """Return the current document of a paper.

    Args:
        anchored_size: what outside clocks vouch for (`Registry.anchored_size`).

    Raises:
        NotFoundError: no such paper.
    """
    found = stored(database, subject[10:])
    if found is None or found.subject != subject:
        raise NotFoundError(f"there is no record of {subject}")
    return found.opened(anchored_size)


def stored(database: Database, suffix: str) -> Stored | None:
    """Return the current view of the paper with a suffix of 26 characters, as it is kept; None if there is none."""
    with database.read() as connection:
        statement = select(RECORDS.c.subject, RECORDS.c.position, RECORDS.c.document).where(
            RECORDS.c.suffix == suffix, RECORDS.c.generation == _generation(connection, "records")
        )
        row = connection.execute(statement).first()
    return None if row is None else Stored(row.subject, row.position, row.document)


def record_as_of(store: Store, subject: str, position: int, registry: Registry) -> Document:
    """Return the document as it was when the log had `position` entries.

    Raises:
        NotFoundError: the paper had no record then.
    """
    judged = judged_as_of(store, subject, position, registry)
    return document(judged, anchored_size=registry.anchored_size(position))


def judged_as_of(store: Store, subject: str, position: int, registry: Registry) -> Judged:
    """Return a paper's entries below a position with their verdicts; raises as `record_as_of` does."""
    entries = store.of_subjects([subject], min(position, store.head().size))[subject]
    judged = judge(fold(subject, entries), registry, position)
    if judged is None:
        when = "" if position == NOW else f" at position {position}"
        raise NotFoundError(f"there is no record of {subject}{when}")
    return judged


def citations(database: Database, subject: str) -> tuple[list[Citation], list[Citation]]:
    """Return the counted citations of a paper (incoming) and by it (outgoing), in order of position."""
    with database.read() as connection:
        generation = _generation(connection, "citations")
        names = [subject, *(f"{alias.kind}:{alias.value}" for alias in _aliases(connection, subject))]
        columns = (
            select(CITATIONS, RECORDS.c.subject)
            .join(
                RECORDS,
                and_(
                    RECORDS.c.suffix == CITATIONS.c.suffix,
                    RECORDS.c.generation == _generation(connection, "records"),
                ),
            )
            .where(CITATIONS.c.generation == generation, CITATIONS.c.status == "counted")
            .order_by(CITATIONS.c.position)
        )
        incoming = connection.execute(columns.where(CITATIONS.c.suffix == subject[10:])).all()
        outgoing = connection.execute(columns.where(CITATIONS.c.citing.in_(names))).all()
    return [_citation(row) for row in incoming], [_citation(row) for row in outgoing]


def search(database: Database, words: str, limit: int = 20) -> list[Hit]:
    """Return papers whose title, authors or abstract hold all the words, best match first.

    Raises:
        InvalidFieldError: no word to look for.
    """
    terms = re.findall(r"\w+", unicodedata.normalize("NFC", words))
    if not terms:
        raise InvalidFieldError("there is no word to look for", cure="give a word of the title, an author or an id")
    statement = text(
        "SELECT records.subject AS subject, title, authors FROM search_text"
        " JOIN search_rows ON search_rows.id = search_text.rowid"
        " JOIN records ON records.suffix = search_rows.suffix AND records.generation = :records"
        " WHERE search_text MATCH :words AND search_rows.generation = :search"
        " ORDER BY bm25(search_text, 8.0, 4.0, 1.0), records.position LIMIT :limit"
    )
    with database.read() as connection:
        values = {
            "words": " ".join(f'"{term}"' for term in terms),
            "records": _generation(connection, "records"),
            "search": _generation(connection, "search"),
            "limit": limit,
        }
        return [Hit(row.subject, row.title, row.authors) for row in connection.execute(statement, values)]


def known(database: Database, subjects: Iterable[str]) -> dict[str, Hit]:
    """Return title and authors of those among some papers that have a record."""
    asked = {subject for subject in subjects if is_number(subject)}
    statement = text(
        "SELECT records.subject AS subject, title, authors FROM search_rows"
        " JOIN search_text ON search_text.rowid = search_rows.id"
        " JOIN records ON records.suffix = search_rows.suffix AND records.generation = :records"
        " WHERE search_rows.suffix IN :suffixes AND search_rows.generation = :search"
    ).bindparams(bindparam("suffixes", expanding=True))
    with database.read() as connection:
        values = {
            "suffixes": [subject[10:] for subject in asked],
            "records": _generation(connection, "records"),
            "search": _generation(connection, "search"),
        }
        rows = connection.execute(statement, values).all() if asked else []
    return {row.subject: Hit(row.subject, row.title, row.authors) for row in rows if row.subject in asked}


def cursor(database: Database) -> int:
    """Return the position that the active projections have read up to."""
    with database.read() as connection:
        found: int = connection.execute(select(CURSORS.c.cursor).where(CURSORS.c.active).limit(1)).scalar_one()
        return found


def standing(database: Database) -> tuple[int, tuple[int, ...]]:
    """Return the cursor of the active projections, and their generations: two equal answers, two equal views."""
    with database.read() as connection:
        statement = select(CURSORS.c.cursor, CURSORS.c.generation).where(CURSORS.c.active)
        rows = connection.execute(statement.order_by(CURSORS.c.projection)).all()
    return min((row.cursor for row in rows), default=0), tuple(row.generation for row in rows)


def count(database: Database) -> int:
    """Return how many papers have a record."""
    with database.read() as connection:
        statement = text("SELECT count(*) FROM records WHERE generation = :generation")
        found: int = connection.execute(statement, {"generation": _generation(connection, "records")}).scalar_one()
        return found


def _generation(connection: Connection, projection: str) -> int:
    statement = select(CURSORS.c.generation).where(CURSORS.c.projection == projection, CURSORS.c.active)
    generation: int = connection.execute(statement).scalar_one()
    return generation


def _by_suffix(connection: Connection, suffix: str) -> list[Row[Any]]:
    within = RECORDS.c.suffix >= suffix, RECORDS.c.suffix < suffix + "~"
    statement = select(RECORDS.c.subject).where(*within, RECORDS.c.generation == _generation(connection, "records"))
    return list(connection.execute(statement.order_by(RECORDS.c.suffix).limit(20)).all())


def _by_alias(connection: Connection, alias: Alias) -> Named | None:
    statement = (
        select(RECORDS.c.subject, RECORDS.c.source_kind, RECORDS.c.source_id, RECORDS.c.version, RECORDS.c.position)
        .join(ALIASES, ALIASES.c.suffix == RECORDS.c.suffix)
        .where(
            ALIASES.c.alias_kind == alias.kind,
            ALIASES.c.alias_value == alias.value,
            ALIASES.c.generation == _generation(connection, "aliases"),
            RECORDS.c.generation == _generation(connection, "records"),
        )
        .order_by(RECORDS.c.version.desc(), RECORDS.c.position.desc())
    )
    rows = connection.execute(statement).all()
    if not rows:
        return None
    works = {(row.source_kind, row.source_id) for row in rows}
    if len(works) > 1:
        # A preprint and its published form may share a DOI; which is meant, only the reader knows.
        newest = {(row.source_kind, row.source_id): row.subject for row in reversed(rows)}
        message = f"{alias.value[:80]!r} names several papers"
        raise AmbiguousError(message, sorted(newest.values()), cure="take one of these")
    best = rows[0]
    others = tuple(row.subject for row in rows[1:])
    return Named(best.subject, others, (best.source_kind, best.source_id), best.version)


def _aliases(connection: Connection, subject: str) -> list[Alias]:
    statement = select(ALIASES.c.alias_kind, ALIASES.c.alias_value).where(
        ALIASES.c.suffix == subject[10:], ALIASES.c.generation == _generation(connection, "aliases")
    )
    return [Alias(row.alias_kind, row.alias_value) for row in connection.execute(statement)]


def _citation(row: Row[Any]) -> Citation:
    return Citation(row.subject, row.citing, row.relationship, row.claim_id, row.event_id)


def _anchored(found: Document) -> Document:
    """A record below the anchored size is externally anchored: join that global fact to the stored view."""
    status = msgspec.json.decode(found["verification_status"]) | {"externally_anchored": True}
    state = msgspec.json.decode(found["attestation_state"])
    return {"verification_status": status, "attestation_state": "anchored" if state == "computed" else state}
