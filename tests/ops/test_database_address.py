"""Addresses of databases: what is no address is refused without repeating it, and no secret in one is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.database_address import check_address, check_schema, shown
from ops.settings import read_settings

SHOWN = {
    "postgresql://db": None,
    "postgresql://u:hush@h/db": "postgresql://u@h/db",
    "postgresql+psycopg://u:hush@h:5433/db": "postgresql://u@h:5433/db",
    "postgresql://h/db": "postgresql://h/db",
    "postgresql://u@/db?host=/run/pg": "postgresql://u@/db?host=/run/pg",
    "postgresql://u:hush@a,b:2,c/db?target_session_attrs=read-write": (
        "postgresql://u@a,b:2,c/db?target_session_attrs=read-write"
    ),
    "postgresql://u@h/db?password=hush&sslmode=require": "postgresql://u@h/db?sslmode=require",
    "postgresql://u@h/db?passfile=/hush&sslkey=/hush&sslpassword=hush": "postgresql://u@h/db",
    "postgresql://u:hu@sh@h/db": "postgresql://u@h/db",
    "postgresql://u:hu/sh@h/db": None,
    "postgresql://u:5432/hush@h/db": None,
    "postgresql://u:hu%3Fsh%40@h/db": "postgresql://u@h/db",
    "postgresql://u@h/db?password=hush@h/db": "postgresql://u@h/db",
    "mysql://u:hush@h/db": None,
    "postgresql://u:hush@h": None,
    "postgresql://u:hush@h/": None,
    "host=h password=hush dbname=db": None,
    "postgresql://u:hush@h/db\n": None,
    "postgresql://u:hush @h/db": None,
    "hush": None,
    "": None,
}


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_an_address_is_shown_without_its_secrets_or_refused(number: int) -> None:
    url, expected = list(SHOWN.items())[number]
    if expected is None:
        with pytest.raises(UsageError, match="no address of a PostgreSQL database") as caught:
            check_address(url, "PITH_DATABASE_URL")
        assert caught.value.place == "PITH_DATABASE_URL" and "hush" not in str(caught.value)
    else:
        check_address(url, "PITH_DATABASE_URL")
        assert shown(url) == expected
    assert "hush" not in shown(url)


@pytest.mark.parametrize("prefix", ["", "Pith", "1pith", "pi-th", "pith;drop", 'pi"th', "pg_pith", "p" * 41, "pïth"])
def test_what_cannot_begin_the_names_of_schemas_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="no name for schemas"):
        check_schema(prefix, "PITH_DATABASE_SCHEMA")


def test_the_address_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:hush@h/db\n")
    settings = read_settings({"PITH_DATABASE_URL_FILE": str(tmp_path / "url"), "PITH_DATABASE_SCHEMA": "press"})
    assert (settings.database_url, settings.schema) == ("postgresql://u:hush@h/db", "press")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "environment",
    [
        {"PITH_DATABASE_URL": "hush"},
        {"PITH_DATABASE_URL": "postgresql://u:hush@h/db", "PITH_DATABASE_URL_FILE": "/url"},
        {"PITH_DATABASE_URL_FILE": "/there/is/none"},
        {"PITH_DATABASE_OWNER_URL": "postgresql://u:hush@h/db"},
        {"PITH_DATABASE_URL": "postgresql://u:hush@h/db", "PITH_DATABASE_OWNER_URL": "hush"},
        {"PITH_DATABASE_URL": "postgresql://u:hush@h/db", "PITH_DATABASE_SCHEMA": "no name"},
    ],
    ids=["no-address", "both", "no-file", "owner-alone", "owner", "schema"],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(environment)
    assert caught.value.place.startswith("PITH_DATABASE") and "hush" not in str(caught.value)


def test_without_an_address_everything_is_in_files() -> None:
    settings = read_settings({})
    assert (settings.database_url, settings.owner_url, settings.schema) == ("", "", "pith")
