"""The whole product against a registry that lies: real processes, real HTTP, the same keys, two histories."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.errors import VerificationError
from ops.checkpointing import checkpoint
from ops.evidence import verify_evidence
from ops.home import open_home
from ops.settings import Settings
from ops.sightings import SEEN, Sightings
from tests.ops.homes import BASE_URL, a_line, as_lines, imported
from tests.ops.hostile import closed_port
from tests.processes import Pith, Result

SECONDS = 60
ANOTHER_ROOT = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry in a folder, which writes the history it is told to."""

    pith: Pith
    root: str

    @classmethod
    def made(cls, folder: Path) -> Registry:
        pith = Pith.at(folder / "one")
        registry = cls(pith, pith.fine("init", "test.registry", "--json").json["root"])
        registry.grow(10, "everyone")
        return registry

    def copied(self, name: str) -> Registry:
        """Return a registry with the same keys and the same past."""
        folder = self.pith.data.with_name(name)
        shutil.copytree(self.pith.data, folder)
        return Registry(Pith.at(folder), self.root)

    def grow(self, size: int, told: str) -> None:
        """Append papers that only this history holds, and publish a checkpoint over them."""
        home = open_home(Settings(self.pith.data, BASE_URL))
        try:
            numbers = range(home.store.head().size, size)
            imported(home, as_lines(a_line(number, title=f"{told} {number}") for number in numbers))
            assert checkpoint(home).checkpoint.size == size
        finally:
            home.close()

    @contextmanager
    def served(self, port: int = 0, *arguments: object) -> Iterator[str]:
        """Run `pith serve`; yields its address."""
        process = self.pith.start("serve", "--json", "--port", port, *arguments)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, process.communicate()[1].decode()
            yield json.loads(line)["address"]
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=SECONDS)
            assert (process.returncode, err) == (0, b"")


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody with nothing but `pith monitor` and a folder."""

    pith: Pith
    state: Path

    @classmethod
    def at(cls, folder: Path) -> Outsider:
        return cls(Pith.at(folder / "nothing"), folder / "state")

    def looks(self, *arguments: object) -> Result:
        return self.pith("monitor", *arguments, "--once", "--state", self.state)

    def follows(self, *arguments: object) -> subprocess.Popen[bytes]:
        return self.pith.start("monitor", *arguments, "--every", 0.05, "--json", "--state", self.state)

    @property
    def evidence(self) -> list[Path]:
        return sorted(self.state.glob("evidence-*.json"))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.made(tmp_path)


@pytest.fixture
def outsider(tmp_path: Path) -> Outsider:
    return Outsider.at(tmp_path)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the next observation of a monitor that follows."""
    assert process.stdout is not None
    raw = process.stdout.readline()
    assert raw, process.communicate()[1].decode()
    found: dict[str, Any] = json.loads(raw)
    return found


def until(process: subprocess.Popen[bytes], **facts: object) -> dict[str, Any]:
    """Return the first observation with these facts."""
    while True:
        found = line(process)
        if {name: found.get(name) for name in facts} == facts:
            return found


# Two histories.


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(15, 20, id="larger"), pytest.param(15, 15, id="equal"), pytest.param(20, 15, id="smaller")],
)
def test_a_registry_that_serves_a_second_history_is_caught(
    registry: Registry, outsider: Outsider, tmp_path: Path, first: int, second: int
) -> None:
    other = registry.copied("other")
    registry.grow(first, "one history")
    other.grow(second, "another history")
    with registry.served() as address:
        seen = outsider.looks(address, "--root", registry.root)
        assert (seen.code, f"serves {first} entries" in seen.out) == (0, True)
    with other.served(port_of(address)):
        seen = outsider.looks(address, "--root", registry.root, "--evidence", tmp_path / "evidence.json")
        assert (seen.code, "FORK" in seen.out, seen.crashed) == (1, True, False)
    (kept,) = outsider.evidence
    assert kept.name == f"evidence-{min(first, second)}-{max(first, second)}.json"
    assert (tmp_path / "evidence.json").read_bytes() == kept.read_bytes()
    value = json.loads(kept.read_bytes())
    assert verify_evidence(value, registry.root, None)
    with pytest.raises(VerificationError):
        verify_evidence(value, ANOTHER_ROOT, None)
    assert outsider.pith("verify", kept, "--root", registry.root).code == 0
    assert outsider.pith("verify", kept, "--root", ANOTHER_ROOT).code == 1


def test_a_fork_is_remembered_and_the_first_history_stays_the_known_one(registry: Registry, outsider: Outsider) -> None:
    other = registry.copied("other")
    registry.grow(15, "one history")
    other.grow(20, "another history")
    with registry.served() as address:
        outsider.looks(address)
    with other.served(port_of(address)):
        assert outsider.looks(address).code == 1
        assert outsider.looks(address).code == 1
    registry.grow(21, "one history")
    with registry.served(port_of(address)):
        seen = outsider.looks(address)
    assert (seen.code, "grew from 15 to 21" in seen.out) == (0, True)
    assert "evidence of a fork was found before" in seen.out
    assert len(outsider.evidence) == 1


def test_two_addresses_with_two_histories_are_caught_at_once(registry: Registry, outsider: Outsider) -> None:
    other = registry.copied("other")
    registry.grow(15, "one history")
    other.grow(15, "another history")
    with registry.served() as one, other.served() as two:
        seen = outsider.looks(one, two, "--json", "--root", registry.root)
    observed = [json.loads(text) for text in seen.out.splitlines()]
    assert [(found["address"], found["status"]) for found in observed] == [(one, "first"), (two, "fork")]
    assert (seen.code, Path(observed[1]["evidence"])) == (1, outsider.evidence[0])


def test_a_monitor_that_follows_ends_when_the_history_changes(registry: Registry, outsider: Outsider) -> None:
    other = registry.copied("other")
    with registry.served() as address:
        process = outsider.follows(address, "--root", registry.root)
        until(process, status="first", size=10)
        registry.grow(15, "one history")
        until(process, status="grown", size=15)
    until(process, status="unreachable")
    other.grow(13, "another history")
    with other.served(port_of(address)):
        assert until(process, status="fork")["evidence"] == str(outsider.evidence[0])
        assert process.wait(timeout=SECONDS) == 1


# An honest registry.


def test_honest_growth_is_no_alarm(registry: Registry, outsider: Outsider) -> None:
    with registry.served() as address:
        for size, said in ((10, "the first seen"), (11, "grew from 10 to 11"), (300, "grew from 11 to 300")):
            if size > 10:
                registry.grow(size, "honest")
            seen = outsider.looks(address, "--root", registry.root)
            assert (seen.code, said in seen.out) == (0, True), seen
    assert outsider.evidence == []


def test_a_mirror_that_lags_behind_is_told_and_no_alarm(registry: Registry, outsider: Outsider, tmp_path: Path) -> None:
    registry.pith.fine("export", tmp_path / "mirror")
    registry.grow(15, "honest")
    with registry.served() as address, registry.served(0, "--folder", tmp_path / "mirror") as mirror:
        seen = outsider.looks(address, mirror, tmp_path / "mirror")
        assert httpx.get(f"{mirror}/checkpoint").content == (tmp_path / "mirror" / "checkpoint").read_bytes()
    assert seen.code == 0
    assert seen.out.count("stale: serves 10 entries, 15 were signed before") == 2


def test_a_log_that_was_never_pinned_is_taken_by_its_first_word_which_is_said(
    registry: Registry, outsider: Outsider
) -> None:
    with registry.served() as address:
        seen = outsider.looks(address)
    assert (seen.code, f"root {registry.root}, by the first answer's word" in seen.out) == (0, True)


# Processes that end.


def test_a_killed_monitor_has_lost_nothing(registry: Registry, outsider: Outsider) -> None:
    """Killed again and again while the log grows, it still knows all that it told of, and catches the fork."""
    other = registry.copied("other")
    with registry.served() as address:
        for size in range(11, 16):
            process = outsider.follows(address)
            line(process)
            registry.grow(size, "one history")
            told = line(process)
            process.kill()
            process.communicate()
            newest = Sightings(outsider.state).newest()
            assert newest is not None and newest.size >= told["newest_size"]
        assert outsider.looks(address).code == 0
    other.grow(14, "another history")
    with other.served(port_of(address)):
        assert outsider.looks(address).code == 1
    assert verify_evidence(json.loads(outsider.evidence[0].read_bytes()), registry.root, None)


def test_a_checkpoint_that_could_not_be_judged_still_catches_the_fork(
    registry: Registry, outsider: Outsider, tmp_path: Path
) -> None:
    other = registry.copied("other")
    registry.grow(15, "one history")
    other.grow(20, "another history")
    registry.pith.fine("export", tmp_path / "export")
    shutil.rmtree(tmp_path / "export" / "tile")
    assert outsider.looks(tmp_path / "export").code == 2
    assert [sighting.size for sighting in Sightings(outsider.state).at(SEEN)] == [15]
    with other.served() as address:
        assert outsider.looks(address).code == 1
    assert [path.name for path in outsider.evidence] == ["evidence-15-20.json"]


def test_an_interrupted_monitor_says_so(registry: Registry, outsider: Outsider) -> None:
    with registry.served() as address:
        process = outsider.follows(address)
        until(process, status="first")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, b"Traceback" in err) == (130, False)


def test_one_folder_serves_one_monitor(registry: Registry, outsider: Outsider) -> None:
    with registry.served() as address:
        process = outsider.follows(address)
        until(process, status="first")
        seen = outsider.looks(address)
        process.kill()
        process.communicate()
    assert (seen.code, "another monitor uses this folder" in seen.err) == (2, True)


# What cannot be followed.


def test_an_address_where_nobody_listens_is_no_alarm(outsider: Outsider) -> None:
    seen = outsider.looks(closed_port())
    assert (seen.code, seen.crashed) == (2, False)


def test_tiles_that_do_not_lead_to_the_root_are_an_alarm(
    registry: Registry, outsider: Outsider, tmp_path: Path
) -> None:
    registry.pith.fine("export", tmp_path / "export")
    tile = tmp_path / "export" / "tile" / "0" / "000.p" / "10"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with registry.served(0, "--folder", tmp_path / "export") as address:
        seen = outsider.looks(address)
    assert (seen.code, "tile: the tiles lead to the root" in seen.out, outsider.evidence) == (1, True, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://log.example"], "no address of a log"),
        (["no/such/folder"], "no such folder"),
        (["http://127.0.0.1:1", "--root", ANOTHER_ROOT, "--log-key", "k"], "not both"),
        (["http://127.0.0.1:1", "--log-key", "k"], "no verifier key"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_meant_is_refused(outsider: Outsider, arguments: list[str], said: str) -> None:
    seen = outsider.looks(*arguments)
    assert (seen.code, said in seen.err, seen.crashed) == (2, True, False)


def test_a_folder_that_is_not_there_is_not_served(outsider: Outsider) -> None:
    seen = outsider.pith("serve", "--folder", outsider.state / "nowhere")
    assert (seen.code, "no such folder" in seen.err) == (2, True)


def test_a_registry_that_is_not_there_is_not_served(outsider: Outsider) -> None:
    seen = outsider.pith("serve")
    assert (seen.code, "no ledger" in seen.err) == (2, True)


def test_people_are_told_the_addresses(registry: Registry) -> None:
    process = registry.pith.start("serve", "--port", 0)
    assert process.stdout is not None
    said = [process.stdout.readline().decode() for _ in range(7)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS)
    named = ["address", "checkpoint", "identity", "search", "schema", "feed", "next"]
    assert [text.split()[0] for text in said] == named
    assert process.returncode == 0
