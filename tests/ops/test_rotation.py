"""Replacing a registry's own keys: the log keeps the change, both old and new signatures count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.appending import Submission
from ledger.errors import UsageError, VerificationError
from ledger.proofs.receipts import receipt
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_receipt_file
from ops.checkpointing import checkpoint
from ops.home import Home
from ops.keyfiles import read_key
from ops.rotation import rotate
from tests.ops.homes import a_home, a_line, as_lines, imported


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = a_home(tmp_path / "data")
    yield found
    found.close()


def key_id(home: Home, role: str) -> str:
    return read_key(home.settings.keys / f"{role}.json").key.key_id


@pytest.mark.parametrize("role", ["event", "receipt", "log"])
def test_the_new_key_takes_the_old_ones_place(home: Home, role: str) -> None:
    before = key_id(home, role)
    done = rotate(home, role)  # type: ignore[arg-type]
    assert (done.old, done.new) == (before, key_id(home, role))
    assert home.store.registry().keys.find(done.new) is not None


@pytest.mark.parametrize("role", ["event", "receipt", "log"])
def test_the_old_key_is_kept_where_only_its_owner_reads_it(home: Home, role: str) -> None:
    done = rotate(home, role)  # type: ignore[arg-type]
    assert (read_key(done.retired).key.key_id, oct(done.retired.stat().st_mode & 0o777)) == (done.old, "0o600")


@pytest.mark.parametrize("role", ["event", "receipt", "log"])
def test_a_registry_works_on_with_its_new_key(home: Home, role: str) -> None:
    rotate(home, role)  # type: ignore[arg-type]
    assert imported(home, as_lines([a_line(1)])).created == 1
    assert checkpoint(home).published


def test_a_checkpoint_of_the_old_log_key_still_opens_and_a_new_one_is_the_new_keys(home: Home) -> None:
    old = checkpoint(home).checkpoint
    rotate(home, "log")
    new = checkpoint(home).checkpoint
    root = home.store.entry(0).event.id_text
    for signed in (old, new):
        found = receipt(home.store, home.store.entry(2))
        found["checkpoint"] = signed.note.decode()
        if signed is new:
            assert verify_receipt_file(found, Trust(root))
    assert old.note.splitlines()[-1][:60] != new.note.splitlines()[-1][:60]


def test_the_retired_log_key_signs_no_checkpoint_any_more(home: Home) -> None:
    retired = read_key(home.settings.keys / "log.json").key
    rotate(home, "log")
    with pytest.raises(VerificationError) as caught:
        home.store.checkpoints.sign(retired, home.clock())
    assert (caught.value.step, home.store.checkpoints.newest()) == ("key validity", None)


def test_a_rotation_that_was_broken_off_before_the_log_took_it_uses_the_same_new_key(home: Home) -> None:
    waiting = home.settings.keys / "log.next.json"
    done = rotate(home, "log")
    (home.settings.keys / "log.json").replace(waiting)
    done.retired.replace(home.settings.keys / "log.json")
    size = home.store.head().size
    again = rotate(home, "log")
    assert (again.new, home.store.head().size, waiting.exists()) == (done.new, size, False)


def test_only_the_registrys_own_roles_are_rotated_here(home: Home) -> None:
    with pytest.raises(UsageError, match="no role"):
        rotate(home, "contributor")


@pytest.mark.parametrize("role", ["receipt", "log"])
def test_a_revoked_key_is_replaced_by_one_that_the_event_key_vouches_for(home: Home, role: str) -> None:
    payload = {"key_id": key_id(home, role), "compromised_from": None}
    home.append([Submission(home.signatory("event").sign("key_revoked", "registry", payload)[0])])
    done = rotate(home, role)  # type: ignore[arg-type]
    assert home.store.entry(home.store.head().size - 1).event.event_type == "key_registered"
    assert done.new == key_id(home, role)
    assert imported(home, as_lines([a_line(1)])).created == 1
    assert checkpoint(home).published
