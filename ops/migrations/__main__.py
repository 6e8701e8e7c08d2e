"""`python -m ops.migrations LINE "what changes"`: write the next version of a line, as the tables in the code have it.

It is compared with a scratch database that the versions so far make, so it holds what differs, in a form that somebody
must read. The line's head in `lines.py` is then to be named, and `tests/ops/test_migrations.py` says whether it fits.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command

from ledger.database import open_sqlite
from ledger.errors import UsageError
from ops.migrations.lines import LINES
from ops.migrations.upgrading import configuration


def write_version(name: str, message: str) -> Path:
    """Write a further version of a line into its folder; raises UsageError where there is no such line."""
    line = next((line for line in LINES if line.name == name), None)
    if line is None:
        raise UsageError(f"there is no line {name!r}", cure=f"use one of {', '.join(line.name for line in LINES)}")
    with TemporaryDirectory(prefix="pith-migrations-") as folder, closing(open_sqlite(Path(folder) / "new.db")) as new:
        with new.write() as connection:
            command.upgrade(configuration(line, connection), "head")
        number = f"{len(line.versions) + 1:04}"
        with new.write() as connection:
            config = configuration(line, connection)
            config.set_main_option("file_template", f"r{number}_%%(slug)s")
            made = command.revision(config, message, autogenerate=True, rev_id=f"{line.name}_{number}")
    assert not isinstance(made, list | None)
    return Path(made.path)


if __name__ == "__main__":
    sys.stdout.write(f"{write_version(sys.argv[1], sys.argv[2])}\n")
