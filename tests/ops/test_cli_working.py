"""`pith work`, `pith jobs` and `pith anchor`, as real processes beside real clocks."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.appending import Submission
from ledger.registry import DEFAULT_POLICY
from ops.home import open_home
from ops.settings import Settings
from tests.ops.homes import a_line, as_lines
from tests.ops.jobs.anchoring.anchorages import REGTEST
from tests.ops.timestamps.authorities import Authority
from tests.ops.timestamps.calendars import Calendar, Explorer
from tests.ops.timestamps.chains import ToyChain
from tests.processes import Pith


@dataclass(slots=True)
class Registry:
    pith: Pith
    calendar: Calendar
    authority: Authority
    explorer: Explorer

    def keep_promises(self) -> None:
        self.calendar.anchor()
        self.explorer.chain.grow(6)

    def anchors(self) -> list[tuple[str, str]]:
        """Return method and status of each anchor in the log."""
        home = open_home(Settings(self.pith.data, "https://pith.example"))
        found = home.store.of_types(["timestamp_anchor"], 0, home.store.head().size)
        home.close()
        return [(entry.event.payload.method, entry.event.payload.status) for entry in found]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with ExitStack() as cleaning:
        chain = ToyChain()
        calendar = cleaning.enter_context(Calendar(chain))
        explorer = cleaning.enter_context(Explorer(chain))
        authority = cleaning.enter_context(Authority(tmp_path / "tsa"))
        pith = Pith.at(tmp_path / "data")
        pith.fine("init", "work.example")
        accept_regtest(pith)
        root = tmp_path / "root.pem"
        root.write_bytes(x509.load_der_x509_certificate(authority.root_der).public_bytes(Encoding.PEM))
        pith.fine("policy", "--timestamp-root", root)
        (tmp_path / "paper.jsonl").write_bytes(as_lines([a_line(1)]))
        pith.fine("import", tmp_path / "paper.jsonl")
        (pith.data / "services.toml").write_text(
            f'[[anchoring.calendars]]\nurl = "{calendar.url}"\n'
            f'[[anchoring.authorities]]\nurl = "{authority.url}"\n'
            f'[[anchoring.headers]]\nkind = "esplora"\naddress = "{explorer.url}"\n'
        )
        yield Registry(pith, calendar, authority, explorer)


def accept_regtest(pith: Pith) -> None:
    home = open_home(Settings(pith.data, "https://pith.example"))
    event = home.signatory("event").sign("policy_set", "registry", {**DEFAULT_POLICY, "bitcoin": REGTEST})[0]
    home.append([Submission(event)])
    home.close()


def until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _events(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Return what a worker logs, as it comes."""
    assert process.stderr is not None
    return (json.loads(line)["event"] for line in process.stderr)


def test_work_once_does_what_is_owed_and_ends(registry: Registry) -> None:
    pith = registry.pith
    told = {row["job"]: row for row in pith.fine("work", "--once", "--json").json}
    assert told["checkpoint"]["outcome"] == told["anchor"]["outcome"] == "done"
    assert sorted(registry.anchors()) == [("opentimestamps", "pending"), ("rfc3161", "confirmed")]
    again = pith.fine("work", "--once", "--job", "anchor")
    assert again.out.strip() == "anchor       done"
    assert len(registry.anchors()) == 2


def test_jobs_shows_what_was_done_what_is_owed_and_how_services_answer(registry: Registry) -> None:
    pith = registry.pith
    before = pith.fine("jobs", "--json").json
    assert not before["is_working"]
    anchoring = next(job for job in before["jobs"] if job["name"] == "anchor")
    assert anchoring["last_run"] is None
    assert [owed["number"] for owed in anchoring["owed"]] == [1, 1]
    assert {service["state"] for service in before["services"]} == {"not asked yet"}
    assert "stamp        nothing done so far" in pith.fine("jobs").out
    registry.calendar.switches.down = True
    pith.fine("work", "--once")
    after = pith.fine("jobs", "--json").json
    assert not after["is_working"]  # whoever worked has ended
    assert all(job["next_run"] is None for job in after["jobs"])
    services = {service["service"]: service for service in after["services"]}
    calendar, authority = services[registry.calendar.url], services[registry.authority.url]
    assert (calendar["state"], calendar["failures"]) == ("failing", 1)
    assert "503" in calendar["said"]
    assert calendar["not_before"]
    assert (authority["state"], authority["anchors"]) == ("well", {"confirmed": 1})
    assert authority["certificate_ends"]
    shown = pith.fine("jobs").out
    assert f"owed: a checkpoint to {registry.calendar.url.removeprefix('http://')}, since " in shown
    assert "; `pith anchor` asks at once" in shown
    assert f"{registry.authority.url.removeprefix('http://')}: well; 1 confirmed" in shown


def test_anchor_stamps_the_newest_checkpoint_and_asks_what_became_of_promises(registry: Registry) -> None:
    pith = registry.pith
    rows = pith.fine("anchor", "--json").json
    assert {row["service"]: row["state"] for row in rows} == {
        registry.calendar.url: "pending",
        registry.authority.url: "confirmed",
    }
    registry.keep_promises()
    shown = pith.fine("anchor").out
    assert shown.count("confirmed: 20") == 2
    assert shown.count(", block 101") == 1
    assert pith.fine("anchor").out == shown  # each time it is asked
    assert {row["height"] for row in pith.fine("anchor", "--json").json} == {101, None}
    assert sorted(registry.anchors()) == [
        ("opentimestamps", "confirmed"),
        ("opentimestamps", "pending"),
        ("rfc3161", "confirmed"),
    ]
    pith.fine("anchor")
    assert len(registry.anchors()) == 3


def test_anchor_stamps_one_papers_record(registry: Registry) -> None:
    pith = registry.pith
    number = pith.fine("find", "Paper number 1", "--json").json[0]["subject"]
    (row, confirmed) = pith.fine("anchor", number, "--json").json
    assert row["subject"] == number
    assert (row["attested_time"], row["height"]) == (None, None)
    assert confirmed["attested_time"] and confirmed["height"] is None
    assert sorted(registry.anchors()) == [("opentimestamps", "pending"), ("rfc3161", "confirmed")]
    pith.fine("anchor", number)
    assert len(registry.anchors()) == 2
    shown = pith.fine("show", number, "--json").json
    assert shown["verification_status"]["externally_anchored"] is True
    missing = pith("anchor", "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert missing.code == 2
    assert not missing.crashed


def test_anchor_fails_plainly_when_no_service_answers_and_tries_again_when_asked_again(registry: Registry) -> None:
    for served in (registry.calendar, registry.authority):
        served.switches.refusing = True
    result = registry.pith("anchor")
    assert result.code == 1
    assert result.out.count("  checkpoint  owed: ") == 2
    for served in (registry.calendar, registry.authority):
        served.switches.refusing = False
    assert registry.pith.fine("anchor").out.count("owed") == 0


def test_a_refusal_is_told_apart_from_failures_with_the_root_to_accept_and_ends_when_it_is(
    registry: Registry, tmp_path: Path
) -> None:
    pith = registry.pith
    accepted = pith.fine("policy", "--json").json["timestamp_roots"]
    (name,) = (hashlib.sha256(base64.b64decode(root)).hexdigest() for root in accepted)
    registry.calendar.switches.garbage = True
    with Authority(tmp_path / "another") as another:
        wrong = tmp_path / "wrong.pem"
        wrong.write_bytes(x509.load_der_x509_certificate(another.root_der).public_bytes(Encoding.PEM))
    pith.fine("policy", "--drop-timestamp-root", name, "--timestamp-root", wrong)
    assert pith("anchor").code == 1
    shown = pith.fine("jobs").out
    assert shown.count(": in doubt: it refused: ") == 2
    assert "in a row" not in shown
    assert "give the root its certificate leads to: `pith policy --timestamp-root root.pem`" in shown
    assert shown.count("; `pith anchor` asks at once") == 2
    assert all(service["is_refused"] for service in pith.fine("jobs", "--json").json["services"])
    pith.fine("policy", "--timestamp-root", tmp_path / "root.pem")
    assert pith.fine("jobs").out.count(": asked again at the next look, since policy has changed") == 2
    pith.fine("work", "--once", "--job", "anchor")
    assert registry.anchors() == [("rfc3161", "confirmed")]


def test_anchor_names_a_checkpoint_and_the_cure_where_no_root_is_accepted(registry: Registry) -> None:
    pith = registry.pith
    for root in pith.fine("policy", "--json").json["timestamp_roots"]:
        pith.fine("policy", "--drop-timestamp-root", hashlib.sha256(base64.b64decode(root)).hexdigest())
    shown = pith.fine("anchor").out
    assert f"{registry.authority.url}  checkpoint  owed: policy accepts no root" in shown
    assert shown.count("accept its root: `pith policy --timestamp-root root.pem`") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_works_until_it_is_told_to_stop(registry: Registry, number: signal.Signals) -> None:
    process = registry.pith.start("work", "--json")
    try:
        until(lambda: len(registry.anchors()) == 2, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert out.decode().startswith("working on work.example: checkpoint, anchor, stamp, upgrade")
    lines = [json.loads(line) for line in err.decode().splitlines()]
    assert any(line["event"].startswith("anchor: ") for line in lines)


def test_a_worker_whose_service_hangs_ends_in_seconds_and_gives_its_work_back(registry: Registry) -> None:
    registry.authority.switches.hanging = True
    process = registry.pith.start("work", "--job", "anchor")
    try:
        until(lambda: registry.authority.requests, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == 0
    registry.authority.switches.hanging = False
    registry.pith.fine("anchor")
    assert sorted(registry.anchors()) == [("opentimestamps", "pending"), ("rfc3161", "confirmed")]


def test_a_worker_with_a_parent_ends_when_that_does(registry: Registry) -> None:
    process = registry.pith.start("work", "--with-parent")
    try:
        until(lambda: len(registry.anchors()) == 2, process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_worker_takes_up_what_services_toml_says_anew_and_is_not_stopped_by_a_faulty_one(
    registry: Registry, tmp_path: Path
) -> None:
    services = registry.pith.data / "services.toml"
    before = services.read_text()
    lines: list[str] = []
    with Authority(tmp_path / "another") as another:
        root = tmp_path / "another.pem"
        root.write_bytes(x509.load_der_x509_certificate(another.root_der).public_bytes(Encoding.PEM))
        registry.pith.fine("policy", "--timestamp-root", root)
        process = registry.pith.start("work", "--json", out=subprocess.DEVNULL)
        reading = threading.Thread(target=lambda: [lines.append(event) for event in _events(process)])
        reading.start()
        try:
            until(lambda: len(registry.anchors()) == 2, process)
            services.write_text(f"{before}use = maybe\n")
            until(lambda: any("services.toml cannot be used" in line for line in lines), process)
            services.write_text(f'{before}[[anchoring.authorities]]\nurl = "{another.url}"\n')
            until(lambda: len(registry.anchors()) == 3, process)
            told = registry.pith.fine("jobs", "--json").json
            assert told["is_working"] and told["nobody_runs"] == []
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            reading.join()
    assert lines.count("services.toml changed: starting anew") == 1
    assert sum("cannot be used" in line for line in lines) == 1
    assert not registry.pith.fine("jobs", "--json").json["is_working"]


def test_jobs_names_what_a_worker_leaves_to_others(registry: Registry) -> None:
    process = registry.pith.start("work", "--job", "checkpoint")
    try:
        until(lambda: registry.pith.fine("jobs", "--json").json["is_working"], process)
        shown = registry.pith.fine("jobs").out
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert "nobody runs anchor, stamp, upgrade, preserve, check: " in shown


def test_two_workers_do_the_work_once(registry: Registry) -> None:
    processes = [registry.pith.start("work", out=subprocess.DEVNULL) for _ in range(2)]
    try:
        until(lambda: len(registry.anchors()) >= 2, processes[0])
        registry.pith.fine("work", "--once")
    finally:
        for process in processes:
            process.terminate()
            process.communicate(timeout=30)
    assert sorted(registry.anchors()) == [("opentimestamps", "pending"), ("rfc3161", "confirmed")]


def test_without_services_it_is_said_what_to_write(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "work.example")
    assert "[[anchoring.calendars]]" in pith.fine("jobs").out
    assert "`pith policy --timestamp-root root.pem`" in pith.fine("jobs").out
    assert str(pith.data / "services.toml") in pith.fine("jobs").out
    result = pith("anchor")
    assert result.code == 2
    assert "no timestamp service is configured" in result.err
    assert pith.fine("work", "--once").out.startswith("checkpoint   done")


def test_mistakes_are_named(registry: Registry) -> None:
    pith = registry.pith
    result = pith("work", "--job", "anchors")
    assert result.code == 2
    assert "use one of checkpoint, anchor" in result.err
    services = pith.data / "services.toml"
    services.write_text(services.read_text() + "secrets = 1\n")
    for command in ("jobs", "anchor", "work"):
        result = pith(command, "--once") if command == "work" else pith(command)
        assert result.code == 2
        assert "anchoring.headers[1].secrets" in result.err


def test_a_damaged_database_of_the_worker_is_named_and_may_be_removed(registry: Registry) -> None:
    registry.pith.fine("anchor")
    database = registry.pith.data / "jobs.db"
    for path in registry.pith.data.glob("jobs.db*"):
        path.unlink()
    database.write_bytes(b"this is no database" * 400)
    result = registry.pith("work", "--once")
    assert result.code == 2
    assert not result.crashed
    assert str(database) in result.err
    assert "remove it" in result.err
    database.unlink()
    registry.pith.fine("anchor")
    assert len(registry.anchors()) == 2


def test_a_mirror_neither_works_nor_anchors(registry: Registry) -> None:
    (registry.pith.data / "following").touch()
    for arguments in (("work", "--once"), ("anchor",), ("jobs",)):
        result = registry.pith(*arguments)
        assert result.code == 2
        assert "mirror" in result.err
    os.unlink(registry.pith.data / "following")


def test_a_log_that_is_no_continuation_of_what_was_signed_is_not_worked_on(registry: Registry, tmp_path: Path) -> None:
    other = Pith.at(tmp_path / "other")
    other.fine("init", "work.example")
    other.fine("checkpoint")
    (registry.pith.data / "signed").write_bytes((other.data / "signed").read_bytes())
    result = registry.pith("work", "--once")
    assert result.code == 1
    assert "log-corrupted" in result.err
    assert registry.anchors() == []
