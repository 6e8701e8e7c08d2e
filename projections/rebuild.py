"""Rebuilding: a new generation from position 0, compared with the old one, then switched to.

Readers stay on the old generation until one row changes. State digests make the comparison, and make a
replay comparable between strangers: the same log gives the same digest, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, text, update

from ledger.database import Database
from ledger.errors import NotFoundError, ProjectionError
from ledger.ranges import Range, ranges
from ledger.registry import Registry
from ledger.store import Store
from projections.digests import PaperDigest, content_of, framed, joined
from projections.folding import Rows, folded, rows_of_all
from projections.judged import Judged
from projections.projectors import PROJECTORS, SEARCH_ROWS, columns_of
from projections.runner import Progress, Runner
from projections.writing import CURSORS, insert_rows, move_cursors

Fold = Callable[[Collection[str], int], Iterable[tuple[Range, Rows]]]
"""Folds the log below a position: yields, range after range, the rows of some projections of the papers in each."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The outcome for one projection: digests (hex) of the old and the new generation at the same position."""

    projection: str
    generation: int
    position: int
    old_digest: str
    new_digest: str

    @property
    def same(self) -> bool:
        return self.old_digest == self.new_digest


def rebuild(
    store: Store,
    database: Database,
    names: list[str],
    progress: Progress = lambda _: None,
    fold: Fold | None = None,
) -> list[Rebuilt]:
    """Build new generations of some projections (all if none is named), compare, and switch to them.

    Args:
        fold: does the folding elsewhere, such as on several processors; whatever it raises ends the rebuild.

    Raises:
        NotFoundError: no projection of that name.
        ProjectionError: a paper cannot be projected, or another rebuild was begun meanwhile.
    """
    for name in names:
        if name not in PROJECTORS:
            raise NotFoundError(f"there is no projection {name!r}", cure=f"use one of {', '.join(PROJECTORS)}")
    names = names or list(PROJECTORS)
    if len(_active_cursors(database)) == 1:
        Runner(store, database).catch_up()
    else:
        names = list(PROJECTORS)  # projections that stand apart can only be built anew, all of them
    generations = {name: _begin(database, name) for name in names}
    cursor = max(_active_cursors(database))
    fill(store, database, generations, cursor, progress, fold)
    runner = Runner(store, database)
    while True:
        with database.write() as connection:
            active = max(_cursors(connection))
            if active == cursor:
                if not all(
                    _stands_at(connection, name, generation, cursor) for name, generation in generations.items()
                ):
                    raise _overtaken()
                return [_switch(connection, name, generation, cursor) for name, generation in generations.items()]
        if not runner.run(generations, cursor, active, progress):
            raise _overtaken()
        cursor = active


def fill(
    store: Store,
    database: Database,
    generations: dict[str, int],
    stop: int,
    progress: Progress = lambda _: None,
    fold: Fold | None = None,
) -> None:
    """Write the state of the log below a position into empty generations, by projection; raises as `rebuild` does."""
    for within, rows in (fold or _folding(store))(generations.keys(), stop):
        with database.write() as connection:
            if not move_cursors(connection, generations, within.start, within.stop):
                raise _overtaken()
            insert_rows(connection, generations, rows)
        progress(within.stop - within.start)


def replay(store: Store, position: int, folder: Path | None = None, progress: Progress = lambda _: None) -> str:
    """Fold the log below a position and return the state digest (hex); `folder` holds what does not fit in memory."""
    with PaperDigest(folder) as digest:
        for within, papers in _papers(store, position):
            digest.add(map(content_of, papers))
            progress(within.stop - within.start)
        return digest.hexdigest()


def _folding(store: Store) -> Fold:
    return lambda names, stop: ((within, rows_of_all(papers, names)) for within, papers in _papers(store, stop))


def _papers(store: Store, stop: int) -> Iterator[tuple[Range, Iterator[Judged]]]:
    registry = Registry(store.registry_name, store.label)
    for entry in store.of_registry(0, stop):
        registry.add(entry)
    for within in ranges(stop):
        yield within, folded(store, registry, within, store.entries(within.start, within.stop), stop)


def state_digest(database: Database) -> str:
    """Return one hex SHA-256 over the digests of all active projections, by name."""
    with database.read() as connection:
        rows = connection.execute(select(CURSORS).where(CURSORS.c.active).order_by(CURSORS.c.projection)).all()
        return joined((row.projection, digest(connection, row.projection, row.generation)) for row in rows)


def digest(connection: Connection, projection: str, generation: int) -> str:
    """Return the hex SHA-256 over every row of one generation, in an order that only content decides."""
    found = hashlib.sha256()
    for table in PROJECTORS[projection].tables:
        for row in content(connection, table, generation):
            found.update(framed(row))
    return found.hexdigest()


def content(connection: Connection, table: Table, generation: int) -> Iterator[Row[Any]]:
    """Yield the rows of one generation in one table, as `columns_of` names their values.

    Only content decides their order, so two tables with the same content give the same rows.
    """
    if table is SEARCH_ROWS:
        statement = text(
            "SELECT suffix, title, authors, abstract FROM search_rows JOIN search_text"
            " ON search_text.rowid = search_rows.id WHERE generation = :generation ORDER BY 1, 2, 3, 4"
        )
        yield from connection.execute(statement, {"generation": generation})
    else:
        columns = [table.c[name] for name in columns_of(table)]
        rows = select(*columns).where(table.c.generation == generation).order_by(*columns)
        yield from connection.execute(rows.execution_options(yield_per=500))


def _overtaken() -> ProjectionError:
    return ProjectionError(
        "another rebuild was begun meanwhile and took this one's place", cure="let one finish before the next"
    )


def _begin(database: Database, name: str) -> int:
    with database.write() as connection:
        _forget(connection, name)
        newest = connection.execute(select(func.max(CURSORS.c.generation)).where(CURSORS.c.projection == name)).scalar()
        generation = (newest or 0) + 1
        row = {"projection": name, "generation": generation, "cursor": 0, "active": False, "error": ""}
        connection.execute(insert(CURSORS).values(row))
    return generation


def _stands_at(connection: Connection, name: str, generation: int, cursor: int) -> bool:
    own = (CURSORS.c.projection == name) & (CURSORS.c.generation == generation)
    return connection.execute(select(CURSORS.c.cursor).where(own)).scalar() == cursor


def _switch(connection: Connection, name: str, generation: int, position: int) -> Rebuilt:
    old: int = connection.execute(
        select(CURSORS.c.generation).where(CURSORS.c.projection == name, CURSORS.c.active)
    ).scalar_one()
    found = Rebuilt(name, generation, position, digest(connection, name, old), digest(connection, name, generation))
    of_name = update(CURSORS).where(CURSORS.c.projection == name)
    connection.execute(of_name.values(active=CURSORS.c.generation == generation))
    _forget(connection, name)
    return found


def _forget(connection: Connection, name: str) -> None:
    """Delete the generations nobody reads: those replaced, and those a broken-off rebuild left."""
    unread = select(CURSORS.c.generation).where(CURSORS.c.projection == name, ~CURSORS.c.active)
    for generation in connection.execute(unread).scalars().all():
        for table in PROJECTORS[name].tables:
            if table is SEARCH_ROWS:
                statement = text(
                    "DELETE FROM search_text WHERE rowid IN (SELECT id FROM search_rows WHERE generation = :generation)"
                )
                connection.execute(statement, {"generation": generation})
            connection.execute(delete(table).where(table.c.generation == generation))
        connection.execute(delete(CURSORS).where(CURSORS.c.projection == name, CURSORS.c.generation == generation))


def _cursors(connection: Connection) -> set[int]:
    return set(connection.execute(select(CURSORS.c.cursor).where(CURSORS.c.active)).scalars())


def _active_cursors(database: Database) -> set[int]:
    with database.read() as connection:
        return _cursors(connection)
