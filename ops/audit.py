"""The audit: every byte of a ledger is read, everything is recomputed, and nothing it says of itself is trusted.

The order is that of what rests on what: the file, the entries, the head and the tree they give, the
checkpoints over the tree, and the projections. The first check that fails ends it, by its name and place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from ledger.database import Database
from ledger.errors import VerificationError
from ledger.store import Store
from ledger.tables import GUARDS, LogTable
from ops.audit_checkpoints import Checkpoints, check_checkpoints, count_checkpoints
from ops.audit_database import check_database, made_by
from ops.audit_log import Entries, check_edge, check_entries, check_head, check_tree, count_entries
from ops.audit_postgresql import Schema, check_postgresql, made_now
from ops.audit_projections import Projected, check_projections, copied
from ops.audit_steps import Bar, checking, silent
from ops.audit_storage import Challenges, check_challenges
from ops.databases import open_log_to_audit
from ops.replaying.engines import Here
from ops.replaying.places import Place, place_of_log
from ops.replaying.replay import Crew
from ops.settings import Settings


@dataclass(slots=True)
class Audit:
    """An audit on its way: how it is watched, and the sentences about what was found to hold.

    `say` is given each sentence, `bar` shows the progress of a long check; `crew` goes over the entries.
    """

    crew: Crew = field(default_factory=lambda: Crew(workers=1))
    bar: Bar = silent
    say: Callable[[str], None] = lambda _: None
    checks: list[str] = field(default_factory=list)

    def holds(self, sentence: str) -> None:
        self.checks.append(sentence)
        self.say(sentence)


@dataclass(frozen=True, slots=True)
class AuditedLog:
    """What a log was found to be: its entries and the checkpoints over them."""

    entries: Entries
    checkpoints: Checkpoints


def audit_home(
    settings: Settings, now: int, audit: Audit, root: str | None = None
) -> tuple[AuditedLog, Projected | None]:
    """Audit the ledger of a data folder, log and projections; nothing in it is written to.

    Args:
        now: microseconds since 1970.
        root: the event id that the log must begin with, known from elsewhere; None takes the log's word.

    Raises:
        VerificationError: the first check that failed, with its step, its place and what to do.
        UsageError: there is no ledger, or one whose tables are of another release.
    """
    ledger = open_log_to_audit(settings)
    try:
        log = audit_log(ledger, now, audit, root, settings.database_url, place_of_log(settings))
        if not settings.projections_path.exists():
            audit.holds("open: there are no projections yet; the first command that reads makes them")
            return log, None
        # Copied last: projections may have gone on with the log meanwhile, but never beyond its head.
        with copied(settings.projections_path) as projections:
            return log, audit_projections(projections, Store(ledger), audit)
    finally:
        ledger.close()


def audit_log(
    database: Database, now: int, audit: Audit, root: str | None = None, url: str = "", place: Place | None = None
) -> AuditedLog:
    """Audit a log in one state of its database; raises as `audit_home` does.

    Args:
        url: of PostgreSQL, where the database is one of its schemas.
        place: where workers find the same database; None leaves all of it to this process.
    """
    made = made_now(url) if database.schema else None
    with checking("database", database.schema or "ledger.db"), database.read() as connection:
        for sentence in _check_database(connection, database.schema, made):
            audit.holds(sentence)
        size = count_entries(connection)
        engine = audit.crew.at(place, database, size) if place else Here(database)
        with audit.bar("entries", size) as advance:
            entries = check_entries(connection, size, engine, advance)
        if root not in (None, entries.begins_with):
            raise VerificationError("root", f"the log begins with {entries.begins_with}", place="position 0")
        for sentence in _of_entries(entries, root):
            audit.holds(sentence)
        check_head(connection, entries)
        with audit.bar("tree", size) as advance:
            tiles = check_tree(connection, entries, advance)
        check_edge(connection, entries)
        audit.holds(f"tree: {tiles} tiles hold what the entries hash to, up to {entries.frontier.root().hex()}")
        audit.holds(f"head: size, time, name and frontier are what the entries of {entries.registry.name} give")
        with audit.bar("checkpoints", count_checkpoints(connection)) as advance:
            checkpoints = check_checkpoints(connection, entries, now, advance)
        for sentence in _of_checkpoints(checkpoints, size) + _of_challenges(check_challenges(connection, size)):
            audit.holds(sentence)
    return AuditedLog(entries, checkpoints)


def _check_database(connection: Connection, schema: str, made: Schema | None) -> list[str]:
    if schema:
        return check_postgresql(connection, schema, made)
    tables = LogTable.metadata.sorted_tables
    check_database(connection, made_by(LogTable.metadata, GUARDS), tables)
    return [f"database: every page is whole, {len(tables)} tables and {len(GUARDS)} guards are as they were made"]


def audit_projections(database: Database, store: Store, audit: Audit) -> Projected:
    """Audit a copy of projections against a log that was audited; raises as `audit_home` does."""
    with audit.bar("projections", store.head().size) as advance:
        found = check_projections(database, store, advance)
    audit.holds(
        f"projections: {found.rows} rows are what folding {found.cursor} entries gives,"
        f" state digest {found.state_digest}"
    )
    return found


def _of_entries(found: Entries, root: str | None) -> list[str]:
    pinned = "" if root else ", by its own word: pin it with --root"
    return [
        f"entries: {found.size} in order, each signature holds and each was admissible where it stands",
        f"root: {found.begins_with}{pinned}",
        f"texts: {found.texts} private texts hash to their commitments, none that was redacted is left",
    ]


def _of_challenges(found: Challenges) -> list[str]:
    held = [f"challenges: {found.founded} answers of holders are to roots of this log"] if found.founded else []
    return held + [
        f"open: position {at} names a root that this log never had: the holder was not challenged as it says"
        for at in found.unfounded
    ]


def _of_checkpoints(found: Checkpoints, size: int) -> list[str]:
    if not found.count:
        return ["open: no checkpoint was signed: whoever holds the registry's keys could have written another log"]
    held = [
        f"checkpoints: {found.count} by the log's key, each over a root that the entries have,"
        f" up to {found.newest} of {size} entries; {found.cosignatures} cosignatures hold,"
        f" {found.published or 'none'} is published"
    ]
    if found.anchored:
        held.append(f"anchors: {found.anchored} anchored checkpoints are earlier states of this log")
    if found.voided:
        held.append(f"open: {found.voided} checkpoints are by a key that was revoked since, for a time before them")
    if found.newest < size:
        held.append(f"open: the {size - found.newest} entries past the newest checkpoint are only the registry's word")
    return held
