"""The law that a PostgreSQL log keeps by itself: triggers that refuse, and a role that was granted no more.

The triggers keep what SQLite's (`tables.GUARDS`) keep, and refuse TRUNCATE. They fire in replicating sessions too; who
owns the tables, or is a superuser, can take them away. A server therefore appends as a role that owns nothing
(`grant_log`): it cannot change an event even where a trigger is missing.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from ledger.tables import TILE_BYTES

# The schema is fixed when a function is made: a session's search path could otherwise show it other tables.
_FUNCTIONS: Final = (
    """
    CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN RAISE integrity_constraint_violation USING MESSAGE = TG_ARGV[0] || coalesce(': ' || TG_ARGV[1], ''); END $$
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_second_head() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      IF EXISTS (SELECT FROM log_head) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'a log has one head';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_smaller() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
      taken boolean;
    BEGIN
      EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE size >= $1)', TG_TABLE_NAME) INTO taken USING NEW.size;
      IF taken THEN
        RAISE integrity_constraint_violation
          USING MESSAGE = TG_TABLE_NAME || ' are append-only: INSERT below the greatest is refused';
      END IF;
      RETURN NEW;
    END $$
    """,
    # Planned when a log is small and kept for a session's life, a scan of the whole log would seem the cheapest.
    """
    CREATE OR REPLACE FUNCTION refuse_known_event() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
    BEGIN
      IF EXISTS (
        SELECT FROM added JOIN events ON events.event_key = added.event_key
        WHERE events.event_id = added.event_id AND events.position <> added.position
      ) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'events are append-only: this id is taken';
      END IF;
      RETURN NULL;
    END $$
    """,
)


def _trigger(name: str, table: str, when: str, call: str) -> tuple[str, str]:
    return (
        f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION {call}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )


def _kept(table: str, verbs: tuple[str, ...], message: str) -> tuple[str, ...]:
    """Return the triggers that refuse statements of some kinds, whatever rows these would touch."""
    return tuple(
        statement
        for verb in verbs
        for statement in _trigger(
            f"{table}_{verb.lower()}",
            table,
            f"BEFORE {verb} ON {table} FOR EACH STATEMENT",
            f"refuse('{message}', '{verb} is refused')",
        )
    )


_REMOVAL: Final = ("DELETE", "TRUNCATE")
_CHANGE: Final = ("UPDATE", *_REMOVAL)

_HEAD_GROWS: Final = """
    BEFORE UPDATE ON log_head FOR EACH ROW
    WHEN (NEW.size < OLD.size OR NEW.received_at < OLD.received_at
      OR NEW.registry_name <> OLD.registry_name OR NEW.log_label <> OLD.log_label OR NEW.id <> OLD.id
      OR (NEW.size = OLD.size AND NEW.frontier <> OLD.frontier))
"""
_TILE_GROWS: Final = f"""
    BEFORE UPDATE ON tiles FOR EACH ROW
    WHEN (NEW.level <> OLD.level OR NEW.number <> OLD.number
      OR length(OLD.nodes) >= {TILE_BYTES} OR length(NEW.nodes) <= length(OLD.nodes)
      OR substr(NEW.nodes, 1, length(OLD.nodes)) <> OLD.nodes)
"""
_NEW_EVENTS: Final = "AFTER INSERT ON events REFERENCING NEW TABLE AS added FOR EACH STATEMENT"

POSTGRESQL_GUARDS: Final = (
    *_FUNCTIONS,
    *_kept("events", _CHANGE, "events are append-only"),
    *_trigger("events_insert", "events", _NEW_EVENTS, "refuse_known_event()"),
    *_kept("log_head", _REMOVAL, "the head of the log stays"),
    *_trigger("log_head_update", "log_head", _HEAD_GROWS, "refuse('the head of the log only grows')"),
    *_trigger("log_head_insert", "log_head", "BEFORE INSERT ON log_head FOR EACH ROW", "refuse_second_head()"),
    *_kept("tiles", _REMOVAL, "tiles are never removed"),
    *_trigger("tiles_update", "tiles", _TILE_GROWS, "refuse('a tile only grows, and not once it is full')"),
    *_kept("checkpoints", _CHANGE, "checkpoints are append-only"),
    *_trigger("checkpoints_insert", "checkpoints", "BEFORE INSERT ON checkpoints FOR EACH ROW", "refuse_smaller()"),
    *_kept("cosignatures", _CHANGE, "cosignatures are append-only"),
    *_kept("publications", _CHANGE, "publications are append-only"),
    *_trigger("publications_insert", "publications", "BEFORE INSERT ON publications FOR EACH ROW", "refuse_smaller()"),
)
"""What makes the guards, to be run in the log's schema by its owner; running it again changes nothing."""

_GRANTS: Final = (
    "SELECT, INSERT ON events, tiles, checkpoints, cosignatures, publications",
    "SELECT, INSERT, DELETE ON disclosures",
    "SELECT ON log_head",
    "UPDATE (size, received_at, frontier) ON log_head",
    "UPDATE (nodes) ON tiles",
)
_MAINTAIN_SINCE: Final = 170_000


def grant_log(connection: Connection, role: str) -> None:
    """Let a role append, redact and serve, and nothing more; the connection is the owner's, in the log's schema.

    From PostgreSQL 17 on the role may also tidy the table of private texts, so that what it redacts leaves the disk;
    before that only the owner may.

    Raises:
        SQLAlchemyError: there is no such role, or the tables are another's.
    """
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    maintained = ("MAINTAIN ON disclosures",) if version >= _MAINTAIN_SINCE else ()
    connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {quoted}")
    for grant in (f"USAGE ON SCHEMA {schema}", *_GRANTS, *maintained):
        connection.exec_driver_sql(f"GRANT {grant} TO {quoted}")
