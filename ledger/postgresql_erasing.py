"""How a deleted text leaves a PostgreSQL server's disk: its table is written anew.

A plain VACUUM leaves the bytes where they stood until others are written over them; VACUUM FULL gives the old file
back. What neither reaches: the server's write-ahead log, which keeps a copy until its files are used again, and its
archives, standbys and backups.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, Table

if TYPE_CHECKING:
    from psycopg.errors import Diagnostic

TRIES: Final = 20
PAUSE_SECONDS: Final = 0.1
_LOCKED: Final = "55P03"
_LOG: Final = logging.getLogger(__name__)


def rewrite(engine: Engine, schema: str, table: Table) -> None:
    """Write a table anew without the rows that were deleted from it; readers wait for as long as that takes.

    Only the table's owner may, and from PostgreSQL 17 on whoever was granted MAINTAIN. While somebody reads the table
    it is tried again for two seconds. Whatever keeps it from being done is logged and left for the next time: what
    was deleted is gone from every answer already.
    """
    from psycopg import Error

    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    warnings: list[Diagnostic] = []
    driver.add_notice_handler(warnings.append)
    try:
        for _ in range(TRIES):
            warnings.clear()
            driver.execute(f'VACUUM (FULL, SKIP_LOCKED) "{schema}"."{table.name}"')
            if not warnings:
                return
            if warnings[0].sqlstate != _LOCKED:
                break
            time.sleep(PAUSE_SECONDS)
        _LOG.warning("what was deleted stays on the disk for now: %s", warnings[0].message_primary)
    except Error as error:
        _LOG.warning("what was deleted stays on the disk for now: %s", str(error).splitlines()[0])
    finally:
        driver.remove_notice_handler(warnings.append)
        connection.close()
