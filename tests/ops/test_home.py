"""Making a registry's folder: once, repeatably after a death half-way, and never over another's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.home import OWN_ROLES, create_home, open_home
from ops.keyfiles import read_key
from ops.settings import Settings
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_home


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", BASE_URL)


def test_a_new_registry_begins_with_its_root_its_keys_and_its_policy(settings: Settings) -> None:
    home = a_home(settings.data)
    types = [entry.event.event_type for entry in home.store.entries()]
    home.close()
    assert types == ["key_registered"] * 4 + ["policy_set"]


def test_equal_clock_and_randomness_make_an_equal_registry(tmp_path: Path) -> None:
    first, second = (a_home(tmp_path / name) for name in ("first", "second"))
    assert [e.event.raw for e in first.store.entries()] == [e.event.raw for e in second.store.entries()]


def test_a_registrys_three_keys_differ(settings: Settings) -> None:
    a_home(settings.data).close()
    assert len({read_key(settings.keys / f"{role}.json").key.key_id for role in OWN_ROLES}) == 3


def test_a_folder_that_holds_a_ledger_is_refused(settings: Settings) -> None:
    a_home(settings.data).close()
    with pytest.raises(UsageError, match="there is a ledger"):
        create_home(settings, REGISTRY)


def test_a_folder_without_ledger_cannot_be_opened(settings: Settings) -> None:
    with pytest.raises(UsageError, match="there is no ledger"):
        open_home(settings)


def test_a_file_that_is_no_ledger_cannot_be_opened(settings: Settings) -> None:
    settings.data.mkdir()
    settings.ledger_path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(UsageError, match="cannot be opened as a ledger"):
        open_home(settings)


def test_an_init_that_died_after_its_keys_goes_on_with_them(settings: Settings, tmp_path: Path) -> None:
    a_home(settings.data).close()
    kept = read_key(settings.keys / "event.json").key.key_id
    for path in settings.data.glob("*.db*"):
        path.unlink()
    home = create_home(settings, REGISTRY, Ticking())
    assert home.store.entry(0).event.signer.key_id == kept


def test_an_init_that_died_in_its_log_begins_the_log_anew(settings: Settings, tmp_path: Path) -> None:
    a_home(settings.data).close()
    shutil.move(settings.ledger_path, settings.data / "ledger.new")
    (settings.data / "ledger.new-wal").write_bytes(b"torn")
    home = create_home(settings, REGISTRY, Ticking())
    assert home.store.head().size == 5


@pytest.mark.parametrize("role", OWN_ROLES)
def test_an_init_that_died_while_it_wrote_a_key_can_be_repeated(settings: Settings, role: str) -> None:
    settings.keys.mkdir(parents=True)
    (settings.keys / f".{role}.json.new").write_text('{"kind": "pith_secret')
    home = create_home(settings, REGISTRY, Ticking())
    assert home.store.head().size == 5


def test_a_finished_init_leaves_nothing_but_its_keys(settings: Settings) -> None:
    a_home(settings.data).close()
    assert {path.name for path in settings.keys.iterdir()} == {f"{role}.json" for role in OWN_ROLES}


def test_another_registrys_keys_are_not_taken_over(settings: Settings) -> None:
    a_home(settings.data).close()
    settings.ledger_path.unlink()
    with pytest.raises(UsageError, match="another registry"):
        create_home(settings, "other.registry")
