"""The law that a PostgreSQL log keeps by itself, against its owner's slips and against the role that serves it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from ledger import notes
from ledger.appending import Submission
from ledger.database import Database, open_postgresql
from ledger.notes import COSIGNATURE, Verifier
from ledger.postgresql_guards import POSTGRESQL_GUARDS, grant_log
from ledger.store import Store, create_log
from ledger.tables import TILE_BYTES, LogTable
from tests.builders import REGISTRY, World, disclosed, key, secret
from tests.leaves import Rows
from tests.logs import Log
from tests.postgres import Server
from tests.writers import SCHEMA

SECONDS = 30
ROLE = "pith_serving"
TABLES = ("events", "log_head", "tiles", "checkpoints", "cosignatures", "publications")
APPENDED = ("events", "checkpoints", "cosignatures", "publications")


@dataclass(frozen=True, slots=True)
class Kept:
    """A log with a tile, a published checkpoint and a witness's line under it, and ways to meddle with it."""

    server: Server
    name: str
    log: Log

    def meddle(self, statement: str, user: str = "postgres") -> None:
        with psycopg.connect(self.server.url(self.name, user), autocommit=True) as connection:
            connection.execute(f"SET search_path = {SCHEMA}, pg_temp".encode())
            connection.execute(statement.encode())

    def contents(self) -> list[list[tuple[Any, ...]]]:
        return [self.server.run(f"SELECT * FROM {SCHEMA}.{table}", self.name) for table in TABLES]


@pytest.fixture(scope="module")
def template(postgres: Server) -> Iterator[str]:
    """A database whose copies the tests meddle with."""
    name = postgres.create()
    database = open_postgresql(postgres.url(name), SCHEMA)
    create_log(database, REGISTRY)
    log = Log(World(), Store(database))
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    signed = log.checkpoint()
    witness = Verifier("witness.example/w1", COSIGNATURE, key("w1").public_key)
    line = notes.cosign(notes.parse(signed.note).text, witness.name, key("w1"), 1_767_139_200)
    log.store.checkpoints.add_cosignatures(signed.size, {witness: line})
    postgres.run(f"DROP ROLE IF EXISTS {ROLE}")
    postgres.run(f"CREATE ROLE {ROLE} LOGIN")
    with database.write() as connection:
        grant_log(connection, ROLE)
    database.close()
    yield name
    postgres.drop(name)


@pytest.fixture
def kept(postgres: Server, template: str) -> Iterator[Kept]:
    name = postgres.create(template)
    database = open_postgresql(postgres.url(name), SCHEMA)
    yield Kept(postgres, name, Log(World(), Store(database)))
    database.close()
    postgres.drop(name)


FORBIDDEN = [
    "UPDATE events SET event = '\\x00' WHERE position = 0",
    "UPDATE events SET received_at = received_at + 1",
    "UPDATE events SET position = 100 WHERE position = 0",
    "DELETE FROM events",
    "DELETE FROM events WHERE position = 8",
    "INSERT INTO events SELECT * FROM events WHERE position = 1",
    "INSERT INTO events SELECT 100, received_at, event_key, subject_key, event_type, event_id, event FROM events "
    "WHERE position = 1",
    "INSERT INTO events SELECT position + 100, received_at, event_key, subject_key, event_type, event_id, event "
    "FROM events",
    "INSERT INTO events SELECT 100 + n, 0, 5, 0, '', '\\x05', '\\x00' FROM generate_series(1, 2) AS n",
    "INSERT INTO events SELECT * FROM events WHERE position = 1 ON CONFLICT (position) DO UPDATE SET event = '\\x00'",
    "MERGE INTO events USING (SELECT 1) AS one ON position = 1 WHEN MATCHED THEN UPDATE SET event = '\\x00'",
    "MERGE INTO events USING (SELECT 1) AS one ON position = 1 WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM events RETURNING *) INSERT INTO events SELECT * FROM gone",
    "SET session_replication_role = replica; DELETE FROM events",
    "SET session_replication_role = replica; TRUNCATE events",
    "UPDATE log_head SET size = size - 1",
    "UPDATE log_head SET size = 0, received_at = 0",
    "UPDATE log_head SET received_at = received_at - 1",
    "UPDATE log_head SET registry_name = 'other.registry'",
    "UPDATE log_head SET log_label = 'other'",
    "UPDATE log_head SET id = 2",
    "UPDATE log_head SET frontier = '\\x0000000000000000'",
    "INSERT INTO log_head (id, registry_name, size, received_at, frontier) VALUES (2, 'test.registry', 0, 0, '\\x00')",
    "INSERT INTO log_head SELECT * FROM log_head ON CONFLICT (id) DO UPDATE SET size = 0",
    "DELETE FROM log_head",
    "SET session_replication_role = replica; UPDATE log_head SET size = 0",
    "UPDATE tiles SET nodes = set_byte(nodes, 0, 1)",
    "UPDATE tiles SET nodes = set_byte(nodes, 0, get_byte(nodes, 0) # 1) || '\\x00'",
    "UPDATE tiles SET nodes = substr(nodes, 1, 32)",
    "UPDATE tiles SET nodes = nodes",
    "UPDATE tiles SET level = 1, nodes = nodes || 'more'",
    "UPDATE tiles SET number = 1, nodes = nodes || 'more'",
    "INSERT INTO tiles VALUES (0, 0, '\\x00')",
    "INSERT INTO tiles VALUES (0, 0, '\\x00') ON CONFLICT (level, number) DO UPDATE SET nodes = excluded.nodes",
    "DELETE FROM tiles",
    "UPDATE checkpoints SET note = '\\x00'",
    "UPDATE checkpoints SET size = size + 1",
    "DELETE FROM checkpoints",
    "INSERT INTO checkpoints SELECT * FROM checkpoints",
    "INSERT INTO checkpoints SELECT size - 1, root, note, signed_at FROM checkpoints",
    "INSERT INTO checkpoints SELECT * FROM checkpoints ON CONFLICT (size) DO UPDATE SET note = '\\x00'",
    "UPDATE cosignatures SET line = ''",
    "DELETE FROM cosignatures",
    "INSERT INTO cosignatures SELECT size, verifier, '' FROM cosignatures",
    "INSERT INTO cosignatures SELECT * FROM cosignatures ON CONFLICT (size, verifier) DO UPDATE SET line = ''",
    "UPDATE publications SET size = size + 1",
    "DELETE FROM publications",
    "INSERT INTO publications SELECT size FROM publications",
    "INSERT INTO publications SELECT size - 1 FROM publications",
    *(f"TRUNCATE {table}" for table in TABLES),
]


@pytest.fixture(scope="module")
def meddled(postgres: Server, template: str) -> Iterator[Kept]:
    """One copy for all statements that must change nothing."""
    name = postgres.create(template)
    database = open_postgresql(postgres.url(name), SCHEMA)
    yield Kept(postgres, name, Log(World(), Store(database)))
    database.close()
    postgres.drop(name)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_itself_refuses(meddled: Kept, statement: str) -> None:
    before = meddled.contents()
    assert all(before)
    with pytest.raises(psycopg.IntegrityError):
        meddled.meddle(statement)
    assert meddled.contents() == before


def test_a_full_tile_grows_no_more(kept: Kept) -> None:
    kept.meddle(f"INSERT INTO tiles VALUES (5, 0, decode(repeat('00', {TILE_BYTES}), 'hex'))")
    with pytest.raises(psycopg.IntegrityError, match="full"):
        kept.meddle("UPDATE tiles SET nodes = nodes || '\\x00' WHERE level = 5")


def test_the_same_key_of_another_id_is_taken(kept: Kept) -> None:
    kept.meddle(
        "INSERT INTO events SELECT 100, received_at, event_key, subject_key, event_type, '\\x05', event FROM events "
        "WHERE position = 1"
    )


def test_another_table_in_the_way_does_not_fool_the_guards(kept: Kept) -> None:
    known = "SELECT 100, received_at, event_key, subject_key, event_type, event_id, event FROM pith_log.events"
    with pytest.raises(psycopg.IntegrityError):
        kept.meddle(
            "CREATE TEMPORARY TABLE events (LIKE pith_log.events); SET search_path = pg_temp, pith_log;"
            f"INSERT INTO pith_log.events {known} WHERE position = 1"
        )


def test_every_table_is_guarded_against_truncation_but_that_of_private_texts(kept: Kept) -> None:
    kept.meddle("TRUNCATE disclosures")
    assert {table.name for table in LogTable.metadata.sorted_tables} == {*TABLES, "disclosures"}


def test_making_the_guards_again_changes_nothing(kept: Kept) -> None:
    asked = (
        "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'pith_log'::regnamespace ORDER BY 1",
    )
    before = [kept.server.run(question, kept.name) for question in asked]
    for statement in POSTGRESQL_GUARDS:
        kept.meddle(statement)
    assert [kept.server.run(question, kept.name) for question in asked] == before
    assert {enabled for _, enabled in before[0]} == {"A"}


def test_the_guards_look_up_events_by_their_key_however_small_the_log_was(postgres_url: str) -> None:
    rows = Rows.on(open_postgresql(postgres_url, SCHEMA, connections=1)).grow(1)
    with rows.database.write() as connection:
        connection.exec_driver_sql("ANALYZE events")  # as the server does now and then: it knows that one row is here
    rows.grow(1)

    def scans() -> int:
        with rows.database.write() as connection:
            connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        with rows.database.read() as connection:
            counted = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'events'"
            return int(connection.exec_driver_sql(counted).scalar_one())

    before = scans()
    rows.grow(*[200] * 20)
    assert scans() == before
    rows.database.close()


# The role that serves.


@pytest.fixture
def serving(kept: Kept) -> Iterator[Log]:
    """The log as a server of the granted role opens it."""
    database: Database = open_postgresql(kept.server.url(kept.name, ROLE), SCHEMA)
    world = World()
    world.opening(), world.people(), world.record_created()  # what the log holds already
    log = Log(world, Store(database), kept.log.clock)
    log.clock.advance(3_600)
    yield log
    database.close()


def test_the_role_can_append_redact_sign_and_serve(serving: Log) -> None:
    claim = serving.world.author(statement=secret("I wrote it"))
    size = serving.store.head().size
    serving.store.append([Submission(claim, {"statement": disclosed("I wrote it")})], serving.clock)
    assert serving.store.disclosures([size]) == {size: {"statement": disclosed("I wrote it")}}
    serving.admit(serving.world.decision(claim, "redacted"))
    serving.admit(*(serving.world.author() for _ in range(20)))
    assert serving.store.disclosures([size]) == {}
    signed = serving.checkpoint()
    assert serving.store.checkpoints.published() == signed
    assert serving.store.tree.root(signed.size) == signed.root


FORBIDDEN_TO_THE_ROLE = [
    *(f"UPDATE {table} SET size = size" for table in ("checkpoints", "cosignatures", "publications")),
    "UPDATE events SET position = position",
    "UPDATE disclosures SET text = ''",
    "UPDATE log_head SET id = id",
    "UPDATE log_head SET registry_name = registry_name",
    "UPDATE log_head SET log_label = log_label",
    "UPDATE tiles SET level = level",
    *(f"DELETE FROM {table}" for table in TABLES),
    *(f"TRUNCATE {table}" for table in (*TABLES, "disclosures")),
    *(f"DROP TABLE {table}" for table in (*TABLES, "disclosures")),
    "INSERT INTO log_head SELECT * FROM log_head",
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    "DROP TRIGGER events_delete ON events",
    "CREATE TRIGGER mine BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()",
    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "DROP FUNCTION refuse() CASCADE",
    "CREATE TABLE pith_log.mine (id int)",
    "CREATE RULE mine AS ON INSERT TO events DO INSTEAD NOTHING",
    "DROP SCHEMA pith_log CASCADE",
    "SET session_replication_role = replica",
    "GRANT ALL ON events TO pith_serving",
]


@pytest.mark.parametrize("statement", FORBIDDEN_TO_THE_ROLE)
def test_the_role_may_do_no_more(meddled: Kept, statement: str) -> None:
    before = meddled.contents()
    if statement.startswith("GRANT"):
        meddled.meddle(statement, ROLE)  # PostgreSQL only warns that nothing was granted
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            meddled.meddle("DELETE FROM events", ROLE)
    else:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            meddled.meddle(statement, ROLE)
    assert meddled.contents() == before


def test_what_a_role_was_granted_before_is_taken_back(kept: Kept, postgres: Server) -> None:
    kept.meddle(f"GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO {ROLE}")
    database = open_postgresql(postgres.url(kept.name), SCHEMA)
    with database.write() as connection:
        grant_log(connection, ROLE)
    database.close()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        kept.meddle("DELETE FROM events", ROLE)


@pytest.mark.parametrize("role", ['quo"ted role', "Robert'); DROP TABLE events; --"])
def test_a_role_of_any_name_is_granted_what_it_needs(kept: Kept, postgres: Server, role: str) -> None:
    quoted = '"' + role.replace('"', '""') + '"'
    postgres.run(f"CREATE ROLE {quoted}")
    database = open_postgresql(postgres.url(kept.name), SCHEMA)
    with database.write() as connection:
        grant_log(connection, role)
    database.close()
    granted = "SELECT privilege_type FROM information_schema.role_table_grants WHERE table_name = 'events'"
    literal = "'" + role.replace("'", "''") + "'"
    assert {row for (row,) in postgres.run(f"{granted} AND grantee = {literal}", kept.name)} == {"SELECT", "INSERT"}


# What was deleted.


def on_disk(kept: Kept, texts: list[str]) -> list[bool]:
    """Say of each text whether any file of the log's tables holds it."""
    kept.server.run("CHECKPOINT")
    ((number,),) = kept.server.run(f"SELECT oid FROM pg_database WHERE datname = '{kept.name}'")
    files = [path.read_bytes() for path in (kept.server.folder / "data" / "base" / str(number)).iterdir()]
    return [any(text[:20].encode() in content for content in files) for text in texts]


@pytest.mark.parametrize("user", ["postgres", ROLE])
def test_a_redacted_text_leaves_the_tables_files(kept: Kept, serving: Log, user: str) -> None:
    if user == ROLE and kept.server.run("SHOW server_version_num")[0][0] < "170000":
        pytest.skip("before PostgreSQL 17 only the owner may rewrite a table")
    log = serving if user == ROLE else Log(serving.world, kept.log.store, serving.clock)
    words = [random.Random(number).randbytes(size).hex() for number, size in enumerate([40, 8_000] * 5)]
    claims = [log.world.author(statement=secret(text)) for text in words]
    for claim, text in zip(claims, words, strict=True):
        log.store.append([Submission(claim, {"statement": disclosed(text)})], log.clock)
    assert all(on_disk(kept, words))
    log.admit(*(log.world.decision(claim, "redacted") for claim in claims[2:6]))
    assert on_disk(kept, words) == [True] * 2 + [False] * 4 + [True] * 4


def test_a_redaction_is_answered_while_somebody_reads_the_private_texts(kept: Kept, serving: Log) -> None:
    claim = serving.world.author(statement=secret("I wrote it"))
    serving.store.append([Submission(claim, {"statement": disclosed("I wrote it")})], serving.clock)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(kept.server.url(kept.name)) as reader:
        reader.execute(f"SELECT * FROM {SCHEMA}.disclosures".encode())
        threads.submit(serving.admit, serving.world.decision(claim, "redacted")).result(SECONDS)
        assert serving.store.disclosures(range(serving.store.head().size)) == {}
