"""Auditing a PostgreSQL schema as such: that it answers as a new one would, and that nobody may change what it holds.

A schema that somebody changed answers every question in its own way: a rule, a policy on rows, a guard that is
switched off. So the catalogue's account of it is compared, word for word, with that of the same tables and guards made
this moment as temporary ones on the same server, in a transaction that is rolled back. Cells need no check as in
SQLite's files: PostgreSQL keeps no value that is not of its column's kind.

The pages themselves are out of a client's sight, which the audit says.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

from sqlalchemy import Connection, text

from ledger.database import Database, open_postgresql
from ledger.errors import UsageError, VerificationError
from ledger.postgresql_guards import POSTGRESQL_GUARDS
from ledger.tables import LogTable
from ops.migrations.lines import VERSIONS

STEP: Final = "database"
SCRATCH: Final = "pg_temp"

Schema = dict[tuple[str, str], str]
"""By kind and name of what a schema holds: everything the catalogue says of it that decides an answer."""

_IN_SCHEMA: Final = "CAST(quote_ident(:schema) AS regnamespace)"

_CATALOGUE: Final = (
    f"""
    SELECT 'relation', CAST(relname AS text), concat_ws(' ', relkind,
      'rules', EXISTS (SELECT FROM pg_rewrite WHERE ev_class = pg_class.oid), 'rows', relrowsecurity,
      'inherits', EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid OR inhparent = pg_class.oid))
    FROM pg_class WHERE relnamespace = {_IN_SCHEMA} AND relkind NOT IN ('i', 'I')
    """,  # noqa: S608
    f"""
    SELECT 'column', concat(relname, '.', attname), concat_ws(' ', format_type(atttypid, atttypmod),
      'not null', attnotnull, 'generated', attgenerated, 'identity', attidentity, 'collated', attcollation,
      'default', pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = {_IN_SCHEMA} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
    """,  # noqa: S608
    f"""
    SELECT 'index', CAST(relname AS text), concat_ws(' ', pg_get_indexdef(indexrelid), 'valid', indisvalid, indisready)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = {_IN_SCHEMA}
    """,  # noqa: S608
    f"""
    SELECT 'constraint', CAST(conname AS text), concat_ws(' ', CAST(CAST(conrelid AS regclass) AS text),
      pg_get_constraintdef(oid), 'valid', convalidated)
    FROM pg_constraint WHERE connamespace = {_IN_SCHEMA} AND contype <> 'n'
    """,  # noqa: S608
    f"""
    SELECT 'trigger', CAST(tgname AS text), concat_ws(' ', pg_get_triggerdef(pg_trigger.oid, true), 'fires', tgenabled)
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = {_IN_SCHEMA} AND NOT tgisinternal
    """,  # noqa: S608
    f"""
    SELECT 'function', CAST(proname AS text), concat_ws(' ', CAST(prorettype AS regtype), lanname, provolatile,
      prosecdef, array_to_string(proconfig, ';'), prosrc)
    FROM pg_proc JOIN pg_language ON pg_language.oid = prolang WHERE pronamespace = {_IN_SCHEMA}
    """,  # noqa: S608
)

_GRANTEE: Final = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(grantee AS regrole) AS text) END"

_STRANGERS: Final = f"""
    SELECT {_GRANTEE} AS role, privilege_type AS may, CAST(relname AS text) AS relation
    FROM pg_class, aclexplode(relacl)
    WHERE relnamespace = {_IN_SCHEMA} AND relkind = 'r' AND grantee <> relowner
      AND (privilege_type IN ('UPDATE', 'TRUNCATE', 'TRIGGER')
        OR privilege_type = 'DELETE' AND relname <> 'disclosures')
    UNION ALL
    SELECT {_GRANTEE}, privilege_type, concat(relname, '.', attname)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl)
    WHERE relnamespace = {_IN_SCHEMA} AND grantee <> relowner AND privilege_type = 'UPDATE'
      AND concat(relname, '.', attname)
        NOT IN ('log_head.size', 'log_head.received_at', 'log_head.frontier', 'tiles.nodes')
    ORDER BY 1, 3, 2 LIMIT 1
"""  # noqa: S608

_SELF: Final = """
    SELECT current_user AS role, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
      CAST(pg_get_userbyid(relowner) AS text) AS owner, pg_has_role(relowner, 'USAGE') AS is_owner,
      current_setting('server_version') AS server, current_setting('data_checksums') AS checksums,
      (SELECT string_agg(CAST(rolname AS text), ', ' ORDER BY rolname) FROM pg_roles WHERE NOT rolsuper
        AND rolname <> current_user AND pg_roles.oid <> relowner AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')
      ) AS members
    FROM pg_class WHERE relname = 'events' AND relnamespace = CAST(quote_ident(:schema) AS regnamespace)
"""


def check_postgresql(connection: Connection, schema: str, expected: Schema | None) -> list[str]:
    """Check a log's schema before its rows are read; return what holds, and what stays open.

    Args:
        connection: the audit's own, in the log's schema.
        expected: as `made_now` gives it.

    Raises:
        VerificationError: step `database`; a part of the schema is missing, changed or too much, or a role that does
            not own the tables may change or remove what must stay.
    """
    if connection.execute(text("SELECT to_regclass('events')")).scalar() is None:
        raise VerificationError(STEP, "the relation events is missing")
    about = connection.execute(text(_SELF), {"schema": schema}).one()
    sentences = []
    if expected is None:
        sentences.append("open: a standby makes no tables to compare with, so audit the primary for its guards too")
    else:
        _compare(catalogue(connection, schema), expected)
        count = len(LogTable.metadata.tables)
        sentences.append(f"database: {count} tables of {schema} and their guards are as they were made")
    if (found := connection.execute(text(_STRANGERS), {"schema": schema}).first()) is not None:
        cure = f"REVOKE {found.may} ON {schema}.{found.relation.partition('.')[0]} FROM {found.role}, and see who did"
        raise VerificationError(STEP, f"{found.role} may {found.may} here", place=found.relation, cure=cure)
    sentences.append(f"privileges: nobody was granted to change or remove an event of {about.owner}'s")
    if about.is_superuser:
        sentences.append(f"open: {about.role} is a superuser, whom no guard stops: give servers a role of their own")
    elif about.is_owner:
        sentences.append(
            f"open: {about.role} owns the tables and could take the guards away: give servers a role of their own"
        )
    if about.members:
        sentences.append(f"open: who is a member of {about.owner} could take the guards away: {about.members}")
    server, checksums = about.server.split()[0], about.checksums
    sentences.append(
        f"open: PostgreSQL {server} keeps its pages out of sight (data checksums are {checksums}): run `pg_amcheck`"
    )
    return sentences


def made_now(url: str) -> Schema | None:
    """Return what the catalogue says of a log's tables and guards that are made this moment, and gone again.

    None on a standby, which makes nothing.

    Raises:
        UsageError: this role may make no temporary tables.
        StoreError: the server cannot be asked.
    """
    with closing(open_postgresql(url, SCRATCH, connections=1)) as database:
        return _made(database)


def _made(database: Database) -> Schema | None:
    with database.write() as connection:
        if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
            return None
        may = connection.execute(text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")).scalar_one()
        if not may:
            raise UsageError(
                "this role may make no temporary tables, with which an audit compares the log's",
                cure="GRANT TEMPORARY ON DATABASE … TO the role that audits",
            )
        for metadata in (LogTable.metadata, VERSIONS.metadata):
            metadata.create_all(connection, checkfirst=False)
        for statement in POSTGRESQL_GUARDS:
            # Functions of a session are never found by their bare names.
            connection.execute(text(statement.replace("EXECUTE FUNCTION ", f"EXECUTE FUNCTION {SCRATCH}.")))
        own: str = connection.execute(
            text("SELECT CAST(CAST(pg_my_temp_schema() AS regnamespace) AS text)")
        ).scalar_one()
        found = catalogue(connection, own, SCRATCH)
        connection.rollback()
    return found


def catalogue(connection: Connection, schema: str, called: str = "") -> Schema:
    """Ask the catalogue about everything in a schema; what it is called itself is left out of each answer.

    Args:
        called: another name that it goes by, in search paths.
    """
    name, path = re.escape(schema), re.escape(called or schema)
    own = re.compile(rf'\b(?:{name}|{path})\.|(?<=search_path=)"?{path}"?(?=, pg_temp)')
    found: Schema = {}
    for question in _CATALOGUE:
        for kind, what, said in connection.execute(text(question), {"schema": schema}):
            found[kind, what] = own.sub("", said)
    return found


def _compare(found: Schema, expected: Schema) -> None:
    for kind, name in sorted(found.keys() | expected.keys()):
        if (kind, name) not in found:
            raise VerificationError(STEP, f"the {kind} {name} is missing", place=f"{kind} {name}")
        if (kind, name) not in expected:
            raise VerificationError(STEP, f"the {kind} {name} does not belong here", place=f"{kind} {name}")
        if found[kind, name] != expected[kind, name]:
            raise VerificationError(STEP, f"the {kind} {name} is not as it was made", place=f"{kind} {name}")
