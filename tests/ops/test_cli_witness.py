"""`pith witness`: a real process that makes its key once, answers over HTTP, and never forgets what it cosigned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.errors import LedgerError
from ledger.notes import parse_verifier
from ops.keyfiles import read_witness_key
from ops.witnessing import KEY, MEMORY, open_witness
from tests.processes import Pith
from tests.witnesses import LOG_KEY, NAME, ORIGIN, Tree, a_database, cosignature

TREE = Tree.of(64)


class Running:
    """A `pith witness` process that has said where it is."""

    def __init__(self, pith: Pith, *arguments: object) -> None:
        self.process = pith.start("witness", NAME, "--log", LOG_KEY.format(), "--port", 0, "--json", *arguments)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1].decode())
        self.facts: dict[str, Any] = json.loads(line)
        self.key = parse_verifier(self.facts["key"])
        self.pith = pith
        pith.log.append(line.decode())

    @property
    def address(self) -> str:
        return str(self.facts["address"])

    def post(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.address}/add-checkpoint", content=body, timeout=60)

    def size(self) -> int:
        """Ask for the latest cosigned size, as a log would that knows nothing."""
        answer = self.post(TREE.request(len(TREE.leaves), len(TREE.leaves)))
        assert answer.status_code == 409
        return int(answer.content)

    def cosign(self, old: int, size: int, tree: Tree = TREE) -> None:
        """Have a growth cosigned, and check the cosignature."""
        answer = self.post(tree.request(old, size))
        assert answer.status_code == 200, answer.text
        cosignature(tree, size, answer.content, self.key)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        self.pith.log.extend((out.decode(), err.decode()))
        return self.process.returncode


@pytest.fixture
def pith(tmp_path: Path) -> Pith:
    return Pith.at(tmp_path)


@pytest.fixture
def started() -> Iterator[list[Running]]:
    """Processes that a test started and that have to be gone after it."""
    found: list[Running] = []
    yield found
    for running in found:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


def secret_of(pith: Pith) -> str:
    return read_witness_key(pith.data / "witness" / KEY).key.seed().hex()


def test_a_witness_says_who_and_where_it_is_and_answers_there(pith: Pith, started: list[Running]) -> None:
    started.append(running := Running(pith))
    folder = pith.data / "witness"
    assert running.facts == {
        "witness": NAME,
        "key": running.key.format(),
        "address": running.address,
        "logs": {ORIGIN: 0},
        "data": str(folder),
    }
    assert running.address.startswith("http://127.0.0.1:")
    assert running.key.public_key == read_witness_key(folder / KEY).key.public_key
    running.cosign(0, 8)
    assert httpx.get(running.address).text == f"witness {NAME}\nkey {running.key.format()}\nlog {ORIGIN} 8\n"
    assert running.end() == 0
    assert pith.log[1:] == ["", ""]


def test_its_folder_is_private_and_its_key_is_told_nobody(pith: Pith, started: list[Running]) -> None:
    started.append(running := Running(pith))
    running.cosign(0, 8)
    answers = [httpx.get(running.address), running.post(b"nonsense"), httpx.get(f"{running.address}/{KEY}")]
    running.end()
    folder = pith.data / "witness"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == {MEMORY, KEY}
    told = "".join([*pith.log, *(f"{answer.headers}{answer.text}" for answer in answers)])
    assert secret_of(pith) not in told
    assert secret_of(pith).encode() not in (folder / MEMORY).read_bytes()


def test_it_tells_people_what_a_policy_needs(pith: Pith) -> None:
    process = pith.start("witness", NAME, "--log", LOG_KEY.format(), "--port", 0)
    assert process.stdout is not None
    lines = [process.stdout.readline().decode() for _ in range(6)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")
    told = dict(line.strip().split(None, 1) for line in lines[:5])
    assert told["policy"] == f"witness {NAME} {told['key']} {told['address']}"
    assert told["log"] == f"{ORIGIN} 0"


def test_a_restarted_witness_has_the_same_key_and_memory(pith: Pith, started: list[Running]) -> None:
    started.append(first := Running(pith))
    first.cosign(0, 8)
    first.end()
    started.append(second := Running(pith))
    assert second.facts["key"] == first.facts["key"]
    assert second.facts["logs"] == {ORIGIN: 8}
    second.cosign(8, 15)


def test_a_witness_that_was_killed_after_its_answer_remembers(pith: Pith, started: list[Running]) -> None:
    size = 0
    for grown in (8, 15, 16):
        started.append(running := Running(pith))
        assert running.size() == size
        if size:
            fork = TREE.fork(5)
            assert running.post(fork.request(size, size)).status_code == 409
            assert running.post(fork.request(size, grown)).status_code == 422
        running.cosign(size, grown)
        running.end(signal.SIGKILL)
        size = grown


def test_a_witness_that_was_killed_before_its_answer_has_cosigned_one_history(
    pith: Pith, started: list[Running]
) -> None:
    """The request is on its way when the process dies; whether it was kept is open, what follows from it is not."""
    size, fork = 0, TREE.fork(0)
    for grown in (10, 20, 30):
        started.append(running := Running(pith))
        host, port = running.address.removeprefix("http://").split(":")
        body = TREE.request(size, grown)
        head = f"POST /add-checkpoint HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            running.end(signal.SIGKILL)
        started.append(again := Running(pith))
        known = again.size()
        assert known in (size, grown)
        if known:
            assert again.post(fork.request(known, known)).status_code == 409
            assert again.post(fork.request(known, grown + 1)).status_code == 422
        again.cosign(known, grown)
        assert again.end() == 0
        size = grown


def test_two_processes_on_one_folder_cosign_one_history(pith: Pith, started: list[Running]) -> None:
    with ThreadPoolExecutor(2) as threads:
        # At first there is no key: both start at once and have to agree on one.
        started.extend(threads.map(lambda _: Running(pith), range(2)))
        assert started[0].facts["key"] == started[1].facts["key"]
        assert started[0].address != started[1].address
        size, tree = 0, TREE
        for step in range(3, 63, 3):
            rivals = (tree, step - 1), (tree.fork(size, f"rival {step}"), step)
            bodies = [rival.request(size, grown) for rival, grown in rivals]
            answers = list(threads.map(Running.post, started, bodies))
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            won = answers[1].status_code == 200
            tree, size = rivals[won]
            cosignature(tree, size, answers[won].content, started[0].key)
            assert answers[not won].content == b"%d\n" % size
    assert [running.size() for running in started] == [size, size]


ASK = ("--log", LOG_KEY.format())


def refused(pith: Pith, *arguments: object) -> tuple[str, str]:
    """Run a witness that must not start; returns the fault and its cure."""
    result = pith("witness", *arguments, "--port", 0, "--json")
    assert (result.code, result.out, result.crashed) == (2, "", False)
    error = json.loads(result.err)
    return error["message"], error["cure"]


def unopened(folder: Path, name: str = NAME) -> tuple[str, str]:
    """Open a witness's folder that must be refused; returns the fault and its cure."""
    with pytest.raises(LedgerError) as found:
        open_witness(folder, name, [LOG_KEY])
    return found.value.message, found.value.cure


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a witness that cosigned something and was stopped."""
    running = Running(Pith.at(tmp_path_factory.mktemp("left")))
    running.cosign(0, 8)
    assert running.end() == 0
    return running.pith.data


@pytest.fixture
def stopped(left: Path, pith: Pith) -> Pith:
    shutil.copytree(left, pith.data, dirs_exist_ok=True)
    return pith


@pytest.fixture
def folder(stopped: Pith) -> Path:
    return stopped.data / "witness"


def test_a_folder_is_one_witnesss(stopped: Pith, folder: Path) -> None:
    message, cure = refused(stopped, "witness.example/other", *ASK)
    assert message == f"this is the key of the witness {NAME}, not of witness.example/other"
    assert "another --data folder" in cure
    (folder / KEY).unlink()
    message, cure = unopened(folder, "witness.example/other")
    assert message == f"this is the memory of the witness {NAME}, not of witness.example/other"
    assert "another folder" in cure


def test_a_key_is_used_with_its_own_memory(stopped: Pith, folder: Path, tmp_path: Path) -> None:
    a_database(tmp_path / "other", "witness.example/other").close()
    shutil.copy(tmp_path / "other" / MEMORY, folder / MEMORY)
    assert unopened(folder)[0] == f"this is the memory of the witness witness.example/other, not of {NAME}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_not_used(folder: Path, mode: int) -> None:
    path = folder / KEY
    path.chmod(mode)
    assert unopened(folder) == ("others can read this key", f"chmod 600 {path}")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"kind":"pith_secret_key"}', b"\xff"])
def test_what_is_no_witness_key_is_not_used(folder: Path, content: bytes) -> None:
    (folder / KEY).write_bytes(content)
    assert unopened(folder) == ("not a key file", "restore it from a copy")


@pytest.mark.parametrize("content", [None, b"", b"not a database, whatever it was"])
def test_a_witness_that_lost_its_memory_does_not_start(folder: Path, content: bytes | None) -> None:
    (folder / MEMORY).unlink()
    if content is not None:
        (folder / MEMORY).write_bytes(content)
    message, cure = unopened(folder)
    assert message.startswith("the witness's memory ")
    assert "cosign a log's second history" in cure


def test_a_start_that_was_cut_short_is_taken_up_again(tmp_path: Path) -> None:
    """The memory is there and the key was being written."""
    a_database(tmp_path).close()
    (tmp_path / f".{KEY}.new").write_bytes(b"{")
    witness, database = open_witness(tmp_path, NAME, [LOG_KEY])
    database.close()
    assert witness.verifier.public_key == read_witness_key(tmp_path / KEY).key.public_key
    assert {path.name for path in tmp_path.iterdir()} == {MEMORY, KEY}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((NAME,), "a witness follows at least one log"),
        ((NAME, "--log", "nonsense"), "'nonsense' is no verifier key"),
        ((NAME, "--log", LOG_KEY.format().replace("+", "+0", 1)), "is no verifier key"),
        ((NAME, *ASK, *ASK), f"two keys of {ORIGIN} have the hash"),
        (("two words", *ASK), "'two words' is no name for a witness"),
        ((NAME, *ASK, "--host", "256.0.0.1"), "cannot listen on 256.0.0.1 port 0"),
    ],
)
def test_a_witness_that_cannot_be_meant_is_refused(pith: Pith, arguments: tuple[str, ...], message: str) -> None:
    found, cure = refused(pith, *arguments)
    assert message in found and cure


def test_a_port_that_is_taken_is_refused(stopped: Pith) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = stopped("witness", NAME, *ASK, "--port", port)
    assert result.code == 2
    assert result.err.startswith(f"usage: cannot listen on 127.0.0.1 port {port}: ")


def test_a_witness_may_have_a_folder_and_an_address_of_its_own(pith: Pith, started: list[Running]) -> None:
    folder = pith.data / "elsewhere" / "w1"
    started.append(running := Running(pith, "--data", folder, "--host", "::1"))
    assert running.address.startswith("http://[::1]:")
    running.cosign(0, 8)
    assert (folder / MEMORY).exists()
    assert not (pith.data / "witness").exists()


def test_an_answer_under_way_is_finished_before_the_end(pith: Pith, started: list[Running]) -> None:
    started.append(running := Running(pith))
    host, port = running.address.removeprefix("http://").split(":")
    body = TREE.request(0, 8)
    head = f"POST /add-checkpoint HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[:-1])
        # An answer to another request shows that the first one has been taken up.
        assert running.post(b"nonsense").status_code == 400
        running.process.send_signal(signal.SIGTERM)
        connection.sendall(body[-1:])
        with connection.makefile("rb") as answer:
            said = answer.read()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert running.end() == 0


def test_a_log_that_showed_the_witness_two_roots_is_proven_to_have(pith: Pith, started: list[Running]) -> None:
    started.append(running := Running(pith))
    running.cosign(0, 8)
    assert running.post(TREE.fork(4).request(8, 8)).status_code == 409
    running.end()
    written = pith("witness", NAME, *ASK, "--evidence")
    (path,) = (pith.data / "witness").glob("evidence-*.json")
    verified = pith("verify", path, "--log-key", LOG_KEY.format())
    assert (written.code, verified.code, "two roots for 8 entries" in verified.out) == (1, 0, True)


def test_a_witness_without_contradictions_has_no_evidence(stopped: Pith) -> None:
    assert stopped("witness", NAME, *ASK, "--evidence").code == 0


def test_processes_leave_nothing_to_clean_up(stopped: Pith) -> None:
    """SIGTERM closes the database: what is left is one file, without a log of writes to come."""
    assert not any(path.name.startswith(f"{MEMORY}-") for path in (stopped.data / "witness").iterdir())
    assert os.listdir(stopped.data) == ["witness"]
