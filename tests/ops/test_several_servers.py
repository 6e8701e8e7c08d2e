"""Several machines over one log in PostgreSQL: each takes, shows what the other took, and signs one history only."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.settings import ApiSettings
from ledger import checkpoints, notes
from ledger.appending import Submission
from ledger.errors import LogCorruptedError
from ledger.events import Event
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint, remember
from ops.home import now, open_home
from ops.jobs.leases import Lease
from ops.jobs.working import opened_work
from ops.registry_app import composed
from ops.sealing import Sealing
from ops.services import Services
from ops.settings import Settings
from tests.builders import World, contributor
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_line, as_lines, imported
from tests.ops.shared import Shared, shared_database
from tests.postgres import Server
from tests.processes import Pith

PATIENCE_SECONDS: Final = 60


@pytest.fixture
def shared(postgres: Server) -> Iterator[Shared]:
    with shared_database(postgres) as found:
        yield found


def registered(name: str) -> Event:
    """Return the registration of a key, which a contributor signs and anybody may send in."""
    return World().registration(contributor(name))


def eventually(said: Callable[[], Any]) -> Any:
    """Ask until the answer is true; return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := said()):
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.05)
    return found


@dataclass(slots=True)
class Machine:
    """A server in a process of its own, with a data folder of its own."""

    pith: Pith
    process: subprocess.Popen[bytes]
    client: httpx.Client

    def send(self, event: Event) -> httpx.Response:
        return self.client.post("/api/events", json=event.value)

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/health/ready").json()
        return found


@contextmanager
def machine(shared: Shared, folder: Path) -> Iterator[Machine]:
    pith = Pith.at(folder, **shared.environment())
    process = pith.start("serve", "--port", 0, "--json")
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS) as client:
            yield Machine(pith, process, client)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def second_folder(first: Path, second: Path) -> Path:
    """Make the data folder of another machine: the same keys, and what was signed so far."""
    second.mkdir()
    shutil.copytree(first / "keys", second / "keys")
    if (first / "signed").exists():
        shutil.copy(first / "signed", second / "signed")
    return second


def test_two_servers_take_and_show_the_same_log(shared: Shared, tmp_path: Path) -> None:
    with closing(shared.a_home(tmp_path / "one")) as home:
        before = home.store.head().size
    second_folder(tmp_path / "one", tmp_path / "two")
    events = [registered(f"person-{number}") for number in range(16)]
    with machine(shared, tmp_path / "one") as one, machine(shared, tmp_path / "two") as two:
        with ThreadPoolExecutor(6) as threads:
            answers = [(event, [threads.submit(one.send, event), threads.submit(two.send, event)]) for event in events]
        positions = []
        for event, sent in answers:
            first, second = (future.result() for future in sent)
            assert {first.status_code, second.status_code} <= {200, 201}, (first.text, second.text)
            found = [answer.json() for answer in (first, second)]
            assert found[0]["position"] == found[1]["position"]
            assert sorted(answer["created"] for answer in found) == [False, True]
            assert {answer["event_id"] for answer in found} == {event.id_text}
            positions.append(found[0]["position"])
        assert sorted(positions) == list(range(before, before + len(events)))

        alone = registered("taken-by-one")
        assert one.send(alone).status_code == 201
        eventually(lambda: two.client.get(f"/api/receipts/{alone.id_text}").status_code == 200)
        receipts = [each.client.get(f"/api/receipts/{alone.id_text}").json() for each in (one, two)]
        facts = [[receipt[name] for name in ("event", "position", "received_at", "origin")] for receipt in receipts]
        assert facts[0] == facts[1]
        eventually(lambda: all(each.ready()["lag"] == 0 for each in (one, two)))
        assert [each.ready()["status"] for each in (one, two)] == ["ready", "ready"]

        token = one.pith.fine("token", "new", "operator", "--json").json["token"]
        status = two.client.get("/api/admin/status", headers={"authorization": f"Bearer {token}"})
        assert status.status_code == 200, status.text

        size = one.ready()["size"]
        for folder in ("one", "two"):
            eventually(lambda at=folder: signed(tmp_path / at) == size)

        one.process.send_signal(signal.SIGKILL)
        one.process.wait(PATIENCE_SECONDS)
        assert two.send(registered("after-the-other")).json()["position"] == size
    audited, _ = audit_home(shared.settings(tmp_path / "two", owner=""), now(), Audit())
    assert audited.entries.size == size + 1 and audited.checkpoints.newest == size + 1


def signed(folder: Path) -> int:
    """Return the size of the checkpoint that a machine has written down; 0 for none."""
    path = folder / "signed"
    return checkpoints.parse(notes.parse(path.read_bytes()).text).size if path.exists() else 0


def test_a_job_is_one_machines_at_a_time(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path / "one").close()
    second_folder(tmp_path / "one", tmp_path / "two")
    homes = [open_home(shared.settings(tmp_path / name)) for name in ("one", "two")]
    with opened_work(homes[0], Services()) as one, opened_work(homes[1], Services()) as two:
        leases: list[Lease] = [work.lease("anchor") for work in (one, two)]
        assert [lease.take() for lease in leases] == [True, False]
        leases[0].release()
        assert leases[1].take() and leases[1].fence == 2
    for home in homes:
        home.close()


@pytest.fixture
def older(shared: Shared, tmp_path: Path) -> Iterator[tuple[Shared, Shared, Settings, Settings]]:
    """Two machines of which the second only ever listened, their database, and an older copy of it."""
    shared.a_home(tmp_path / "one").close()
    second_folder(tmp_path / "one", tmp_path / "two")
    one, two = (shared.settings(tmp_path / name, owner="") for name in ("one", "two"))
    with shared.copy() as backup:
        with (
            closing(open_home(one, Ticking())) as home,
            closing(open_home(two)) as other,
            composed(other, ApiSettings(BASE_URL), follow_seconds=0.05),
        ):
            # Signed in the transaction that appends, so that there is nothing left to sign for the other.
            key = home.signatory("log").key
            sealed = home.store.append_sealed([Submission(registered("anybody"))], home.clock, key)
            assert sealed.checkpoint is not None
            remember(home, sealed.checkpoint)
            eventually(lambda: signed(two.data) == home.store.head().size == 6)
        yield shared, backup, one, two


def test_each_machine_notices_an_older_log_though_another_signed(
    older: tuple[Shared, Shared, Settings, Settings],
) -> None:
    _, backup, *machines = older
    for settings in machines:
        restored = replace(settings, database_url=backup.url())
        with closing(open_home(restored)) as home:
            with pytest.raises(LogCorruptedError, match="no continuation"), composed(home, ApiSettings(BASE_URL)):
                pass
            assert home.store.head().size == 5


def test_a_running_server_signs_nothing_once_the_database_was_set_back(
    older: tuple[Shared, Shared, Settings, Settings],
) -> None:
    shared, backup, one, _ = older
    with closing(open_home(one)) as home:
        sealing = Sealing(home)
        with following(sealing):
            eventually(lambda: sealing.key() is not None and signed(one.data) == home.store.head().size)
            shared.server.drop(shared.name)
            shared.server.run(f"CREATE DATABASE {shared.name} TEMPLATE {backup.name}")
            eventually(lambda: set_back(home.store.head))
            assert sealing.key() is None
        assert home.store.checkpoints.newest() is None


@contextmanager
def following(sealing: Sealing) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=sealing.follow, args=(0.02, stopped))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def set_back(head: Callable[[], Any]) -> bool:
    """Say whether the log is the older one by now; the server may still be on its way back."""
    try:
        return bool(head().size == 5)
    except Exception:
        return False


def test_a_good_log_is_served_by_a_machine_that_saw_none_of_it(shared: Shared, tmp_path: Path) -> None:
    """A new machine has no file `signed`, one that was away an old one; neither is against the log."""
    with closing(shared.a_home(tmp_path / "one")) as home:
        checkpoint(home)
        second_folder(tmp_path / "one", tmp_path / "away")
        imported(home, as_lines([a_line(1)]))
        size = checkpoint(home).checkpoint.size
    second_folder(tmp_path / "one", tmp_path / "new")
    (tmp_path / "new" / "signed").unlink()
    for name in ("away", "new"):
        with closing(open_home(shared.settings(tmp_path / name))) as home, composed(home, ApiSettings(BASE_URL)):
            pass
        assert signed(tmp_path / name) in (0, 5, size)
