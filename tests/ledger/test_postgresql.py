"""PostgreSQL as a database: addresses, servers that will not do, transactions, and lost connections."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from ledger.appending import Appended, Submission
from ledger.database import Database, open_postgresql, open_postgresql_read_only
from ledger.errors import LedgerError, LogCorruptedError, StoreError, UsageError
from ledger.events import Entry
from ledger.store import Store, create_log
from ledger.tables import LogTable
from tests.builders import REGISTRY, World, contributor
from tests.interposed import Wire, wire_to
from tests.logs import Log
from tests.postgres import Server
from tests.processes import ROOT
from tests.writers import SCHEMA

SECONDS = 30


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """A database with an empty log."""
    found = open_postgresql(postgres_url, SCHEMA)
    create_log(found, REGISTRY)
    yield found
    found.close()


@pytest.fixture
def log(database: Database) -> Log:
    log = Log(World(), Store(database))
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    return log


@pytest.fixture
def wire(postgres: Server) -> Iterator[Wire]:
    with wire_to(postgres.folder) as found:
        yield found


def name_of(url: str) -> str:
    """Return the database that a URL names."""
    return url.partition("@/")[2].partition("?")[0]


# Addresses.

PASSWORD = "hunter2-and-more"
WRONG_ADDRESSES = [
    "",
    "sqlite:///log.db",
    f"mysql://user:{PASSWORD}@host/db",
    f"postgresql:/user:{PASSWORD}@host/db",
    f"postgresql://user:{PASSWORD}%zz@host/db",
    f"postgresql://user:p@{PASSWORD}@host/db",
    f"postgresql://user:{PASSWORD}@[::1/db",
    f"postgresql://user:{PASSWORD}@host/db?sslmode=require&nonsense=1",
    f"postgresql://user:{PASSWORD}@host/db?password",
    f"postgresql+asyncpg://user:{PASSWORD}@host/db",
    f"host=nowhere password={PASSWORD}",
]


@pytest.mark.parametrize("url", WRONG_ADDRESSES)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_postgresql(url, SCHEMA)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("schema", ["", "Pith", "a;b", 'a"b', "1a", "a" * 64, "pith_log\n"])
def test_what_is_no_name_for_a_schema_is_refused(postgres: Server, schema: str) -> None:
    with pytest.raises(UsageError):
        open_postgresql(postgres.url(), schema)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_every_usual_scheme_is_understood(postgres: Server, scheme: str) -> None:
    database = open_postgresql(postgres.url().replace("postgresql", scheme, 1), SCHEMA)
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_of_several_hosts_the_one_that_answers_is_used(postgres: Server) -> None:
    hosts = f"/nowhere,{postgres.folder},127.0.0.1:1".replace("/", "%2F")
    database = open_postgresql(f"postgresql://postgres@{hosts}/postgres", SCHEMA)
    with database.write() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_password_stands_in_no_error_log_or_repr(postgres: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres.url("there_is_no_such_database").replace("postgres@", f"postgres:{PASSWORD}@")
    database = open_postgresql(url, SCHEMA)
    with pytest.raises(StoreError) as caught, database.read():
        pass
    shown = "".join(traceback.format_exception(caught.value)) + repr(database) + repr(database.writer) + caplog.text
    assert "there_is_no_such_database" in str(caught.value)
    assert PASSWORD not in shown


def test_a_server_that_is_not_there_is_an_error_of_the_store() -> None:
    database = open_postgresql("postgresql://127.0.0.1:1/postgres", SCHEMA)
    with pytest.raises(StoreError, match="refused"), database.read():
        pass


def test_without_the_driver_the_extra_is_named(postgres: Server) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from ledger.database import open_postgresql\n"
        "from ledger.errors import UsageError\n"
        "try: open_postgresql('postgresql://host/db', 'pith_log')\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert "pip install 'pith-ledger[postgresql]'" in done.stdout, done.stderr


# Servers that will not do.


@pytest.mark.parametrize("version", [b"14.6", b"19.1"])
def test_a_server_of_an_untried_version_is_refused(postgres: Server, wire: Wire, version: bytes) -> None:
    ((shown,),) = postgres.run("SHOW server_version")
    name = b"server_version\0"
    wire.to_client = lambda data: data.replace(name + shown.encode(), name + version.ljust(len(shown)))
    database = open_postgresql(wire.url("postgres"), SCHEMA)
    with pytest.raises(StoreError, match=f"PostgreSQL {version[:2].decode()}") as caught, database.read():
        pass
    assert "15 to 18" in caught.value.cure


def test_a_database_that_keeps_other_text_than_utf_8_is_refused(postgres: Server) -> None:
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match="LATIN1"), open_postgresql(postgres.url("latin"), SCHEMA).read():
        pass


# Transactions.


def test_a_reader_sees_one_state_while_others_append(log: Log, database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM events")).scalar()
        log.admit(log.world.author())
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == before


def test_a_writer_is_alone_from_its_start(postgres_url: str, database: Database) -> None:
    other = open_postgresql(postgres_url, SCHEMA)
    began = threading.Event()

    def write() -> None:
        with other.write():
            began.set()

    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            waiting = threads.submit(write)
            blocked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while not connection.execute(blocked).scalar():
                assert not waiting.done()
            assert not began.is_set()
        waiting.result(SECONDS)
    assert began.is_set()
    other.close()


def test_a_writer_that_was_kept_waiting_in_vain_can_write_later(postgres_url: str, database: Database) -> None:
    other = open_postgresql(postgres_url, SCHEMA, connections=1)

    def write() -> None:
        with other.write():
            pass

    cancel = "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            waiting = threads.submit(write)
            while not connection.execute(text(cancel)).first():
                assert not waiting.done()
            assert isinstance(waiting.exception(SECONDS), StoreError)
        write()
    other.close()


def test_a_writer_that_takes_no_lock_of_ours_cannot_slip_in(log: Log, postgres_url: str, database: Database) -> None:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(postgres_url, autocommit=True, options=f"-c search_path={SCHEMA}")

    engine = create_engine("postgresql+psycopg://", creator=connect, use_native_hstore=False)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    foreign = Log(log.world, Store(Database(engine, engine, SCHEMA)), log.clock)
    size = log.store.head().size

    with ThreadPoolExecutor(1) as threads:

        def while_the_other_waits() -> int:
            waiting.append(threads.submit(log.admit, *events[1:]))
            blocked = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() AND {of_this}"
            with database.read() as connection:
                while not connection.execute(text(blocked)).scalar():
                    assert not waiting[0].done()
            return log.clock()

        of_this = f"pid IN (SELECT pid FROM pg_stat_activity WHERE datname = '{name_of(postgres_url)}')"
        events, waiting = [log.world.author() for _ in range(3)], list[Future[Entry]]()
        (outcome,) = foreign.store.append([Submission(events[0])], while_the_other_waits)
        assert isinstance(outcome, Appended)
        assert (outcome.entry.position, waiting[0].result(SECONDS).position) == (size, size + 2)
    engine.dispose()


def test_writers_of_two_schemas_do_not_wait_for_each_other(postgres_url: str, database: Database) -> None:
    other = open_postgresql(postgres_url, "pith_jobs")
    with database.write(), other.write() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    other.close()


def test_a_reading_transaction_cannot_write(log: Log, database: Database) -> None:
    with pytest.raises(StoreError, match="read-only"), database.read() as connection:
        connection.execute(text("INSERT INTO publications VALUES (1)"))


def test_an_auditors_database_cannot_write(log: Log, postgres_url: str) -> None:
    audited = open_postgresql_read_only(postgres_url, SCHEMA)
    with pytest.raises(StoreError, match="read-only"), audited.write() as connection:
        connection.execute(text("INSERT INTO publications VALUES (1)"))
    audited.close()


def test_a_transaction_in_which_a_statement_failed_is_not_taken_for_committed(log: Log, postgres_url: str) -> None:
    database = open_postgresql(postgres_url, SCHEMA, connections=1)
    with pytest.raises(StoreError, match="failed"), database.write() as connection, pytest.raises(SQLAlchemyError):
        connection.execute(text("SELECT nothing"))
    with database.write() as connection:  # on the same connection
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()


def test_nothing_that_a_session_is_told_outlives_its_transaction(log: Log, postgres_url: str) -> None:
    database = open_postgresql(postgres_url, SCHEMA, connections=1)
    same = Log(log.world, Store(database), log.clock)
    for _ in range(8):
        same.admit(log.world.author())
    names = ("search_path", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    raw = database.writer.raw_connection()
    told = raw.driver_connection
    assert told is not None
    assert [told.execute(f"SHOW {name}").fetchone()[0] for name in names] == ['"$user", public', "0", "0", "0"]
    assert told.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    assert told.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    raw.close()
    database.close()


@pytest.mark.parametrize(("habit", "kept"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_an_append_waits_for_the_disk_whatever_the_servers_habit(
    postgres: Server, postgres_url: str, database: Database, habit: str, kept: str
) -> None:
    postgres.run(f"ALTER DATABASE {name_of(postgres_url)} SET synchronous_commit = {habit}")
    with open_postgresql(postgres_url, SCHEMA).write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == kept


def test_a_temporary_table_is_not_taken_for_the_logs(log: Log, database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE events (position bigint) ON COMMIT DROP"))
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == log.store.head().size


def test_the_tables_are_read_back_from_the_server_as_they_were_meant(log: Log, database: Database) -> None:
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, LogTable.metadata) == []


def test_of_several_that_make_a_log_at_the_same_moment_one_does(postgres_url: str) -> None:
    def make(_: int) -> str:
        database = open_postgresql(postgres_url, SCHEMA)
        try:
            barrier.wait(SECONDS)
            create_log(database, REGISTRY)
        except StoreError as error:
            return error.message
        finally:
            database.close()
        return "made"

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(make, range(4))) == ["made", *["there is a log here already"] * 3]


# Lost connections.


def test_connections_that_died_unused_are_replaced(log: Log, postgres: Server, postgres_url: str) -> None:
    size = log.store.head().size
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(postgres_url)}'")
    assert log.admit(log.world.author()).position == size


def test_a_connection_lost_within_a_transaction_stores_nothing(log: Log, postgres: Server, postgres_url: str) -> None:
    size = log.store.head().size
    end = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name_of(postgres_url)}'"

    def ending() -> int:
        postgres.run(end)
        return log.clock()

    carol = contributor("carol")
    with pytest.raises(StoreError, match="terminat"):
        log.store.append([Submission(log.world.registration(carol))], ending)
    assert log.store.head().size == size
    assert log.refusal(log.world.author(carol)).code == "unknown-key"


def test_a_connection_lost_while_an_event_is_judged_is_not_the_submitters_fault(
    log: Log, postgres: Server, postgres_url: str
) -> None:
    claim = log.world.author()
    log.admit(claim)
    end = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name_of(postgres_url)}'"

    def ending() -> int:
        postgres.run(end)
        return log.clock()

    with pytest.raises(StoreError, match="terminat"):
        log.store.append([Submission(log.world.withdrawal(claim))], ending)


@pytest.fixture
def told(log: Log, wire: Wire, postgres_url: str) -> Log:
    """The same log over the wire."""
    found = Log(log.world, Store(open_postgresql(wire.url(name_of(postgres_url)), SCHEMA)), log.clock)
    found.admit(found.world.author())
    return found


def test_a_lost_answer_to_a_commit_is_told_as_unknown_and_a_retry_gives_the_entry(
    log: Log, told: Log, wire: Wire
) -> None:
    carol = contributor("carol")
    size = log.store.head().size
    events = [log.world.registration(carol), log.world.author(carol)]
    wire.lose_answer_to = b"COMMIT\0"
    with pytest.raises(StoreError) as caught:
        told.append(*events)
    assert wire.lost.wait(SECONDS)
    assert "not known" in caught.value.cure
    outcomes = told.append(*events)
    assert [(outcome.entry.position, outcome.created) for outcome in outcomes if isinstance(outcome, Appended)] == [
        (size, False),
        (size + 1, False),
    ]
    assert told.admit(log.world.author(carol)).position == size + 2


def test_an_append_that_the_replicas_may_not_have_is_unknown(log: Log, postgres: Server, postgres_url: str) -> None:
    event = log.world.author()
    cut = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
        f" WHERE wait_event = 'SyncRep' AND datname = '{name_of(postgres_url)}'"
    )
    postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'a_replica_that_is_away'")
    postgres.run("SELECT pg_reload_conf()")
    try:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(log.append, event)
            while not postgres.run(cut):
                assert not waiting.done()
            error = waiting.exception(SECONDS)
    finally:
        postgres.run("ALTER SYSTEM RESET synchronous_standby_names")
        postgres.run("SELECT pg_reload_conf()")
    assert isinstance(error, StoreError)
    assert "not known" in error.cure
    (outcome,) = log.append(event)
    assert isinstance(outcome, Appended)
    assert not outcome.created


def test_a_lost_insert_is_told_as_not_stored(log: Log, told: Log, wire: Wire) -> None:
    size = log.store.head().size
    event = log.world.author()
    wire.lose_answer_to = b"INSERT INTO events"
    with pytest.raises(StoreError) as caught:
        told.append(event)
    assert "nothing was stored" in caught.value.cure
    assert (told.admit(event).position, log.store.head().size) == (size, size + 1)


def test_a_log_that_became_shorter_takes_nothing_more(log: Log, postgres: Server, postgres_url: str) -> None:
    database = name_of(postgres_url)
    for guard in ("log_head_update ON pith_log.log_head", "events_delete ON pith_log.events"):
        postgres.run(f"DROP TRIGGER {guard}", database)
    postgres.run("DELETE FROM pith_log.events WHERE position > 5", database)
    postgres.run("UPDATE pith_log.log_head SET size = 6", database)
    with pytest.raises(LogCorruptedError, match="had"):
        log.append(log.world.author())


@pytest.mark.parametrize("damage", ["substr(nodes, 1, 32)", "nodes || substr(nodes, 1, 32)"])
def test_nothing_is_appended_to_a_tile_of_another_width_than_the_head_says(
    log: Log, postgres: Server, postgres_url: str, damage: str
) -> None:
    postgres.run("ALTER TABLE pith_log.tiles DISABLE TRIGGER ALL", name_of(postgres_url))
    postgres.run(f"UPDATE pith_log.tiles SET nodes = {damage}", name_of(postgres_url))
    rows = list(log.store.rows())
    with pytest.raises(LogCorruptedError, match="at width 9"):
        log.append(log.world.author())
    assert list(log.store.rows()) == rows


def test_a_commit_that_the_server_refused_is_told_as_not_stored(log: Log, database: Database) -> None:
    late = "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    with database.write() as connection:
        connection.execute(text(f"{late} EXECUTE FUNCTION refuse('too late')"))
    rows = list(log.store.rows())
    with pytest.raises(StoreError, match="too late") as caught:
        log.append(log.world.author())
    assert "nothing was stored" in caught.value.cure
    assert list(log.store.rows()) == rows


def test_errors_repeat_no_values(log: Log, database: Database) -> None:
    row = text("INSERT INTO disclosures (position, path, salt, text) VALUES (0, 'text', 'salt', :text)")
    private = {"text": bytes(range(97, 123))}
    with database.write() as connection:
        connection.execute(row, private)
    with pytest.raises(LedgerError) as caught, database.write() as connection:
        connection.execute(row, private)
    assert "duplicate key" in caught.value.message
    assert "abcdefghijklmnopqrstuvwxyz" not in "".join(traceback.format_exception(caught.value))


def test_errors_repeat_no_row(log: Log, database: Database) -> None:
    row = "INSERT INTO disclosures (position, path, salt, text) VALUES (0, :path, 'salt', NULL)"
    with pytest.raises(LedgerError) as caught, database.write() as connection:
        connection.execute(text(row), {"path": "a private path"})
    assert "a private path" not in str(caught.value)
