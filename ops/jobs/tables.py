"""The worker's own tables: who may work, what was done when, what waits for the log, and what people asked for.

They stand in `jobs.db` in the data folder, or in PostgreSQL (`ops.databases`). Nothing that is proven depends on them:
where they are lost, all that is owed is found again from the log. All times are microseconds since 1970, UTC. Other
modules of jobs declare their rows on `JobTable` too; `open_jobs` makes every table that was declared by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from sqlalchemy import Column, Dialect, LargeBinary, MetaData, Text, TypeDecorator, select
from sqlmodel import Field, SQLModel

from ledger.database import Database, create_tables, open_sqlite
from ledger.tables import Key64, table_of


class Words(TypeDecorator[str]):
    """What somebody outside said, as text for people: PostgreSQL keeps no U+0000, and none is worth a failed job."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


class JobTable(SQLModel):
    metadata: ClassVar[MetaData] = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})


class LeaseRow(JobTable, table=True):
    """The right to do one job until `expires_at`; `fence` is raised whenever somebody takes it."""

    __tablename__ = "leases"

    name: str = Field(max_length=80, primary_key=True)
    holder: str = Field(max_length=120)
    expires_at: int = Field(sa_column=Column(Key64, nullable=False))
    fence: int = Field(sa_column=Column(Key64, nullable=False))


class RunRow(JobTable, table=True):
    """The newest run of a job; `outcome` is `under way`, `done` or `failed`, `said` what was done or what went wrong.

    `ended_at` is 0 while it is under way, `next_at` 0 where nobody knows. `failures` counts those since it last went
    well.
    """

    __tablename__ = "runs"

    name: str = Field(max_length=80, primary_key=True)
    holder: str = Field(max_length=120)
    started_at: int = Field(sa_column=Column(Key64, nullable=False))
    ended_at: int = Field(sa_column=Column(Key64, nullable=False))
    next_at: int = Field(sa_column=Column(Key64, nullable=False))
    outcome: str = Field(max_length=20)
    said: str = Field(sa_column=Column(Words, nullable=False))
    failures: int


class OutboxRow(JobTable, table=True):
    """A signed event on its way to the log, and the private texts it commits to (JSON, as in a submission).

    `key_name` names the file of the key that signed it. `refused` says why the log did not take it, `try_at` when
    it is offered again.
    """

    __tablename__ = "outbox"

    id: int | None = Field(default=None, sa_column=Column(Key64, primary_key=True, autoincrement=True))
    event_id: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False, unique=True))
    event: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    disclosures: str = Field(sa_column=Column(Text, nullable=False))
    key_name: str = Field(max_length=40)
    put_at: int = Field(sa_column=Column(Key64, nullable=False))
    try_at: int = Field(sa_column=Column(Key64, nullable=False))
    refused: str = Field(sa_column=Column(Text, nullable=False))
    code: str = Field(max_length=40)


class RequestRow(JobTable, table=True):
    """What somebody asked for, taken over from the private tables or from the command line.

    `url` is empty where the kind needs none. `done_at` is 0 while it is open; what was done stays for a while, so
    that taking the same request over again changes nothing.
    """

    __tablename__ = "requests"

    id: str = Field(max_length=80, primary_key=True)
    kind: str = Field(max_length=20, index=True)
    suffix: str = Field(max_length=26)
    url: str = Field(sa_column=Column(Text, nullable=False))
    asked_at: int = Field(sa_column=Column(Key64, nullable=False))
    done_at: int = Field(sa_column=Column(Key64, nullable=False))
    said: str = Field(sa_column=Column(Words, nullable=False))


class CursorRow(JobTable, table=True):
    """The position up to which a job has read the log, and the id of the event it read last."""

    __tablename__ = "cursors"

    name: str = Field(max_length=80, primary_key=True)
    position: int = Field(sa_column=Column(Key64, nullable=False))
    event_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))


class WorkerRow(JobTable, table=True):
    """A worker that goes on until it is told to stop: since when, when it last said so, and its jobs (JSON)."""

    __tablename__ = "workers"

    holder: str = Field(max_length=120, primary_key=True)
    since: int = Field(sa_column=Column(Key64, nullable=False))
    seen_at: int = Field(sa_column=Column(Key64, nullable=False))
    jobs: str = Field(sa_column=Column(Text, nullable=False))


LEASES: Final = table_of(LeaseRow)
RUNS: Final = table_of(RunRow)
OUTBOX: Final = table_of(OutboxRow)
REQUESTS: Final = table_of(RequestRow)
CURSORS: Final = table_of(CursorRow)
WORKERS: Final = table_of(WorkerRow)


def open_jobs(path: Path) -> Database:
    """Open the worker's database and make what tables are missing.

    Raises:
        StoreError: it cannot be opened, or is another release's, whose tables have other columns.
    """
    database = open_sqlite(path)
    try:
        create_tables(database, JobTable.metadata)
        with database.read() as connection:
            for table in JobTable.metadata.tables.values():
                connection.execute(select(table).limit(0))
    except BaseException:
        database.close()
        raise
    return database
