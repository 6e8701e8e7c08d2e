"""A witness: it cosigns the checkpoints of the logs it follows, as long as each grows out of the one before.

What it knows of a log stands in a database of its own. Comparing a request with the latest cosigned
checkpoint and keeping the new one is one transaction that holds the write lock from its start, so several
threads and processes may share the database; the answer is given only once the disk has the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, func, insert, select, update

from ledger import notes
from ledger.database import Database, create_tables
from ledger.errors import StoreError, UsageError
from ledger.keys import SecretKey
from ledger.notes import COSIGNATURE, Verifier, is_name
from ledger.witness_errors import WitnessClockError, WitnessRefusedError
from ledger.witness_tables import CONTRADICTIONS, COSIGNED, IDENTITY, WITNESS_GUARDS, WitnessTable
from ledger.witnessing import NOTHING, Submitted, TreeHead, admit, by_origin, open_request, parse

MAX_STEP_BACK: Final = 120
"""Seconds by which a request's time may lie before that of the latest cosignature.

It covers a wait for the write lock and small corrections of the clock. The cosignature then repeats the
latest time, since times for one origin never go back.
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A log that a witness follows: the size it cosigned last (0 for none), and the sizes with two roots."""

    origin: str
    size: int
    contradicted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two notes that one log signed, of one size and with different roots: proof of a split view.

    `cosigned` came first and was cosigned, `refused` came at `time`, in seconds since 1970.
    """

    origin: str
    size: int
    cosigned: bytes
    refused: bytes
    time: int


def create_witness(database: Database, name: str) -> None:
    """Make a database the memory of a witness, or leave it as it is if it is this witness's already.

    Raises:
        UsageError: the name is none that a key can have, or the database is another witness's.
    """
    if not is_name(name):
        raise UsageError(f"{name!r} is no name for a witness", cure="give one without spaces and +, as witness.example")
    create_tables(database, WitnessTable.metadata, WITNESS_GUARDS)
    with database.write() as connection:
        if connection.scalar(select(IDENTITY.c.name)) is None:
            connection.execute(insert(IDENTITY).values(id=1, name=name))
    _check_identity(database, name)


class Witness:
    """One witness with its key, its memory and the logs it follows."""

    def __init__(self, database: Database, name: str, key: SecretKey, logs: Iterable[Verifier]) -> None:
        """Open a witness's memory.

        Raises:
            UsageError: a log's key is of a wrong kind, given twice or the witness's own, or the memory is
                another witness's.
            StoreError: the database is no witness's memory.
        """
        _check_identity(database, name)
        self._database = database
        self._key = key
        self._logs = by_origin(logs)
        if key.public_key in (log.public_key for keys in self._logs.values() for log in keys):
            raise UsageError("a witness cannot follow a log that signs with its own key", cure="use two keys")
        self.verifier = Verifier(name, COSIGNATURE, key.public_key)

    def add_checkpoint(self, body: bytes, now: int) -> bytes:
        """Cosign a checkpoint that extends the latest one, or repeats it.

        Args:
            body: the request (C2SP tlog-witness).
            now: seconds since 1970.

        Returns:
            The signature line of the cosignature.

        Raises:
            WitnessRefusedError: one of its children; nothing was cosigned.
            StoreError: the database cannot keep the checkpoint; nothing was cosigned.
        """
        request = open_request(parse(body), self._logs)
        with self._database.write() as connection:
            answer = self._answer(connection, request, now)
        # Raised only here, so that the transaction ends well and evidence of a refused request is kept.
        if isinstance(answer, WitnessRefusedError):
            raise answer
        return answer.format().encode()

    def followed(self) -> list[Followed]:
        """Return what is known of each log that is followed, by origin."""
        latest = select(COSIGNED.c.origin, func.max(COSIGNED.c.size).label("size")).group_by(COSIGNED.c.origin)
        with self._database.read() as connection:
            sizes = {row.origin: row.size for row in connection.execute(latest)}
            refused = connection.execute(select(CONTRADICTIONS.c.origin, CONTRADICTIONS.c.size)).all()
        return [
            Followed(origin, sizes.get(origin, 0), tuple(sorted(size for name, size in refused if name == origin)))
            for origin in sorted(self._logs)
        ]

    def contradictions(self) -> list[Contradiction]:
        """Return the evidence against logs, by origin and size."""
        joined = CONTRADICTIONS.join(
            COSIGNED, (COSIGNED.c.origin == CONTRADICTIONS.c.origin) & (COSIGNED.c.size == CONTRADICTIONS.c.size)
        )
        columns = (CONTRADICTIONS.c.origin, CONTRADICTIONS.c.size, COSIGNED.c.note, CONTRADICTIONS.c.note)
        chosen = select(*columns, CONTRADICTIONS.c.time).select_from(joined).order_by(*columns[:2])
        with self._database.read() as connection:
            return [Contradiction(*row) for row in connection.execute(chosen)]

    def _answer(
        self, connection: Connection, request: Submitted, now: int
    ) -> notes.NoteSignature | WitnessRefusedError:
        _keep_contradiction(connection, request, now)
        latest, time = _latest(connection, request.checkpoint.origin)
        try:
            admit(request, latest)
            time = _time_to_state(now, time)
        except WitnessRefusedError as refusal:
            return refusal
        _keep_cosigned(connection, request, time)
        return notes.cosign(request.note.text, self.verifier.name, self._key, time)


def _check_identity(database: Database, name: str) -> None:
    try:
        with database.read() as connection:
            found = connection.scalar(select(IDENTITY.c.name))
    except StoreError:
        found = None
    if found is None:
        raise StoreError("this is not the memory of a witness", cure="restore it from its newest copy")
    if found != name:
        raise UsageError(
            f"this is the memory of the witness {found}, not of {name}",
            cure="give the name it was made with, or another folder",
        )


def _latest(connection: Connection, origin: str) -> tuple[TreeHead, int]:
    """Return the latest cosigned tree head of an origin, and the time last stated for it."""
    columns = (COSIGNED.c.size, COSIGNED.c.root, COSIGNED.c.time)
    chosen = select(*columns).where(COSIGNED.c.origin == origin).order_by(COSIGNED.c.size.desc()).limit(1)
    found = connection.execute(chosen).one_or_none()
    return (TreeHead(found.size, found.root), found.time) if found else (NOTHING, 0)


def _time_to_state(now: int, latest: int) -> int:
    # No cosignature of a checkpoint may state the time 0, which stands for no time.
    if not 0 < now <= notes.MAX_TIME or now < latest - MAX_STEP_BACK:
        raise WitnessClockError(f"the witness's clock says {now}, its latest cosignature {latest}")
    return max(now, latest)


def _keep_cosigned(connection: Connection, request: Submitted, time: int) -> None:
    known = _same_size(COSIGNED, request)
    if connection.scalar(select(COSIGNED.c.time).where(known)) is None:
        connection.execute(insert(COSIGNED).values(_row(request, time)))
    else:
        connection.execute(update(COSIGNED).where(known, COSIGNED.c.time < time).values(time=time))


def _keep_contradiction(connection: Connection, request: Submitted, now: int) -> None:
    cosigned = connection.scalar(select(COSIGNED.c.root).where(_same_size(COSIGNED, request)))
    kept = connection.scalar(select(CONTRADICTIONS.c.root).where(_same_size(CONTRADICTIONS, request)))
    if cosigned not in (None, request.checkpoint.root) and kept is None:
        connection.execute(insert(CONTRADICTIONS).values(_row(request, now)))


def _same_size(table: Table, request: Submitted) -> ColumnElement[bool]:
    return (table.c.origin == request.checkpoint.origin) & (table.c.size == request.checkpoint.size)


def _row(request: Submitted, time: int) -> dict[str, Any]:
    checkpoint = request.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "note": request.note.format(),
        "time": time,
    }
