"""Holders and whoever challenges them: over real HTTP, with honest holders, careless ones and liars."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.appending import Appended
from ledger.checkpoints import Checkpoint
from ledger.chunks import CHUNK_BYTES
from ledger.errors import (
    InvalidFieldError,
    LedgerError,
    MissingFieldError,
    NotFoundError,
    ServiceRefusedError,
    ServiceUnavailableError,
    SourceUnreadableError,
    VerificationError,
    WeakKeyError,
)
from ledger.keys import SecretKey
from ledger.payloads import Content
from ledger.possession import MAX_ANSWER_BYTES, answer, deposit_of, format_location
from ops.fetching import Answer, Fetching
from ops.storage.holder import Proved, challenge
from ops.storage.holding import PATH, Holdings, Scan, create_holder_app, watching
from ops.storage.ids import identifiers
from tests.builders import CHECKER, key
from tests.holders import HOLDER, ROOT, Held, a_file
from tests.logs import Log
from tests.ops.storage.strangers import Script, answering, reply, stranger
from tests.processes import Pith
from tests.witnesses import served

PAPER = Held(a_file(40 * CHUNK_BYTES + 5, "paper"))
NOW = Checkpoint("test.registry", 7, ROOT)
LATER = Checkpoint("test.registry", 9, sha256(b"a later root").digest())
FETCHING = Fetching(deadline=20)


def ask(method: str, address: str, limit: int, body: bytes) -> Answer:
    return FETCHING.ask(method, address, limit, body=body)


def challenged(url: str, held: Held = PAPER, at: Checkpoint = NOW, key: SecretKey = HOLDER) -> Proved:
    return challenge(format_location(url, key.public_key), held.deposit, at, ask)


def failed(script: Script, at: Checkpoint = NOW) -> LedgerError:
    """Return why a challenge of a holder that follows a script fails."""
    with stranger(script) as server, pytest.raises(LedgerError) as found:
        challenged(server.at("127.0.0.1", PATH), at=at)
    said = str(found.value)
    assert len(said) < 1_000 and said.isprintable()
    return found.value


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder that is served."""

    folder: Path
    holdings: Holdings
    address: str

    @property
    def url(self) -> str:
        return f"{self.address}{PATH}"

    def put(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    holdings = Holdings(tmp_path, HOLDER)
    (tmp_path / "paper.pdf").write_bytes(PAPER.content)
    holdings.scan()
    with served(create_holder_app(holdings)) as address:
        yield Holder(tmp_path, holdings, address)


# Honest holders.


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 16 * CHUNK_BYTES, 17 * CHUNK_BYTES])
def test_a_holder_proves_what_it_has(holder: Holder, length: int) -> None:
    held = Held(a_file(length, "another"))
    holder.put("below/another.pdf", held.content)
    assert holder.holdings.scan().files == 2
    found = challenged(holder.url, held)
    assert found.http_status == 200
    assert found.possession["chunks"] == held.challenge().chosen(length)
    assert (found.possession["tree_size"], found.possession["checkpoint_root"]) == (7, ROOT.hex())


def test_the_evidence_is_the_hash_of_what_the_holder_sent(holder: Holder) -> None:
    sent = httpx.post(holder.url, json={"checkpoint_root": ROOT.hex(), "sha256": PAPER.deposit.sha256.hex()})
    assert challenged(holder.url).evidence_sha256 == sha256(sent.content).hexdigest()
    assert sent.headers["content-type"] == "application/json"


def test_a_deposit_is_what_the_identifiers_of_its_bytes_say(holder: Holder) -> None:
    with (holder.folder / "paper.pdf").open("rb") as file:
        content = Content(media_type="application/pdf", **identifiers(file))
    assert deposit_of(content) == PAPER.deposit


def test_content_without_a_chunk_root_cannot_be_challenged() -> None:
    content = Content(media_type="application/pdf", sha256=PAPER.deposit.sha256.hex(), bytes=5)
    with pytest.raises(MissingFieldError) as refused:
        deposit_of(content)
    assert refused.value.place == "payload.content.chunk_root"


def test_a_log_takes_what_the_challenge_brought(holder: Holder, log: Log) -> None:
    with (holder.folder / "paper.pdf").open("rb") as file:
        content = {**identifiers(file), "media_type": "application/pdf"}
    size = log.store.head().size
    location = format_location(holder.url, HOLDER.public_key)
    found = challenged(holder.url, at=Checkpoint(log.world.name, size, ROOT))
    event = log.world.storage(
        CHECKER,
        grade="proved",
        location={"kind": "holder", "url": location},
        content=content,
        possession=found.possession,
        check={
            "started_at": "2026-06-19T16:00:00Z",
            "ended_at": "2026-06-19T16:00:00Z",
            "software": "pith-ledger 0.1.0",
            "http_status": found.http_status,
            "evidence_sha256": found.evidence_sha256,
        },
    )
    (outcome,) = log.append(event)
    assert isinstance(outcome, Appended)


def test_a_holder_says_what_it_does_not_have(holder: Holder) -> None:
    with pytest.raises(NotFoundError):
        challenged(holder.url, Held(b"never seen"))


def test_a_file_that_comes_later_is_found_by_the_next_scan(holder: Holder) -> None:
    held = Held(a_file(5))
    holder.put("later.pdf", held.content)
    with pytest.raises(NotFoundError):
        challenged(holder.url, held)
    holder.holdings.scan()
    challenged(holder.url, held)


def change_in_silence(path: Path, at: int) -> None:
    """Change a byte of a file as a failing disk does: neither time nor length betray it."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_is_read_again_once_its_time_changed(holder: Holder) -> None:
    path = holder.folder / "paper.pdf"
    change_in_silence(path, 0)
    changed = Held(path.read_bytes())
    holder.holdings.scan()
    with pytest.raises(NotFoundError):
        challenged(holder.url, changed)
    os.utime(path)
    holder.holdings.scan()
    challenged(holder.url, changed)


def test_a_file_that_is_gone_is_forgotten(holder: Holder) -> None:
    (holder.folder / "paper.pdf").unlink()
    assert holder.holdings.scan().files == 0


def test_one_of_two_equal_files_is_enough(holder: Holder) -> None:
    second = holder.put("second.pdf", PAPER.content)
    assert holder.holdings.scan().files == 2
    (holder.folder / "paper.pdf").unlink()
    challenged(holder.url)
    second.unlink()
    with pytest.raises(NotFoundError):
        challenged(holder.url)


# Careless holders.


def spared() -> int:
    """Return where a byte of the paper lies that the challenge does not ask for."""
    chosen = PAPER.challenge().chosen(PAPER.deposit.length)
    return CHUNK_BYTES * next(index for index in range(41) if index not in chosen)


def test_a_file_that_changed_since_it_was_read_is_not_answered_for(holder: Holder) -> None:
    """Not even where nothing of the change is asked for."""
    path = holder.folder / "paper.pdf"
    change_in_silence(path, spared())
    os.utime(path)
    with pytest.raises(NotFoundError):
        challenged(holder.url)
    holder.holdings.scan()
    with pytest.raises(NotFoundError):
        challenged(holder.url)


def test_a_chunk_that_the_disk_lost_in_silence_is_said_to_be_lost(holder: Holder) -> None:
    lost = PAPER.challenge().chosen(PAPER.deposit.length)[5]
    change_in_silence(holder.folder / "paper.pdf", lost * CHUNK_BYTES + 100)
    with pytest.raises(NotFoundError):
        challenged(holder.url)


def test_a_holder_with_a_loss_answers_where_nothing_of_it_is_asked_for(holder: Holder) -> None:
    """A challenge finds what it chooses: this is why they are repeated."""
    change_in_silence(holder.folder / "paper.pdf", spared())
    challenged(holder.url)


def test_links_and_what_is_no_file_are_passed_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"not meant to be held")
    folder = tmp_path / "held"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    holdings = Holdings(folder, HOLDER)
    found = holdings.scan()
    assert (found.files, found.bytes, found.unreadable) == (0, 0, 0)


def test_what_cannot_be_looked_at_is_counted_and_keeps_nothing_else_from_being_held(tmp_path: Path) -> None:
    """A name too long for its folder's path fails as a folder does that may be listed and not entered."""
    (tmp_path / "paper.pdf").write_bytes(PAPER.content)
    deep, at = tmp_path, os.open(tmp_path, os.O_RDONLY)
    while len(str(deep)) < 3_900:
        os.mkdir("x" * 90, dir_fd=at)
        deep /= "x" * 90
        below = os.open("x" * 90, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("y" * 250, os.O_CREAT, dir_fd=at))
    os.close(at)
    found = Holdings(tmp_path, HOLDER).scan()
    assert (found.files, found.unreadable) == (1, 1)


def test_a_folder_that_cannot_be_entered_holds_nothing_and_stops_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "below").mkdir()
        (folder / "below" / "a.pdf").write_bytes(b"a")
        (folder / "b.pdf").write_bytes(b"b")
        folder.chmod(0o755)
        (folder / "below").chmod(0o744)
        code = f"""
import os, sys
from pathlib import Path
from ledger.keys import SecretKey
from ops.storage.holding import Holdings
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)  # nobody: root may enter any folder
found = Holdings(Path({name!r}), SecretKey(b"1" * 32)).scan()
print(found.files, found.unreadable)
"""
        if os.geteuid() != 0:
            (folder / "below").chmod(0o644)
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        (folder / "below").chmod(0o755)
    assert said.stdout.split() == ["1", "1"], said.stderr


def test_a_scan_that_fails_is_not_the_last(tmp_path: Path) -> None:
    class Failing(Holdings):
        scans = 0

        def scan(self) -> Scan:
            self.scans += 1
            if self.scans == 1:
                raise OSError("the disk is away for a moment")
            return super().scan()

    holdings = Failing(tmp_path, HOLDER)
    (tmp_path / "paper.pdf").write_bytes(PAPER.content)
    with watching(holdings, 0.01):
        deadline = time.monotonic() + 30
        while holdings.scans < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert holdings.scans >= 3 and holdings.answer(ROOT, PAPER.deposit.sha256)


def test_a_file_that_became_a_link_is_not_answered_for(tmp_path: Path) -> None:
    folder = tmp_path / "held"
    folder.mkdir()
    path = folder / "paper.pdf"
    path.write_bytes(PAPER.content)
    holdings = Holdings(folder, HOLDER)
    holdings.scan()
    path.rename(tmp_path / "paper.pdf")
    path.symlink_to(tmp_path / "paper.pdf")
    with pytest.raises(NotFoundError):
        holdings.answer(ROOT, PAPER.deposit.sha256)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"\xff",
        b'{"checkpoint_root":"00","sha256":"00"}',
        json.dumps({"checkpoint_root": "0" * 64, "sha256": "G" * 64}).encode(),
        json.dumps({"checkpoint_root": "0" * 64, "sha256": "0" * 64, "more": 1}).encode(),
        json.dumps({"checkpoint_root": "0" * 64, "sha256": "0" * 64}).encode() + b" " * 2_000,
        b"x" * 5_000_000,
    ],
)
def test_what_is_no_challenge_is_refused(holder: Holder, body: bytes) -> None:
    found = httpx.post(holder.url, content=body)
    assert (found.status_code, found.headers["content-type"]) == (400, "text/plain; charset=utf-8")


def test_only_challenges_are_answered(holder: Holder) -> None:
    assert httpx.get(holder.url).status_code == 405
    assert httpx.get(holder.url).headers["allow"] == "POST"
    for path in ("/", "/paper.pdf", "/possession/", "/possession/../paper.pdf"):
        assert httpx.post(f"{holder.address}{path}", content=b"{}").status_code == 404


# Liars.


def lying(raw: bytes) -> Script:
    return answering(raw)


def step(script: Script, at: Checkpoint = NOW) -> str:
    error = failed(script, at)
    assert isinstance(error, VerificationError)
    return error.step


def test_a_holder_that_lost_a_chunk_cannot_make_it_up() -> None:
    lost = PAPER.challenge().chosen(PAPER.deposit.length)[7]
    raw = answer(
        HOLDER, ROOT, PAPER.deposit, PAPER.tree, lambda at: bytes(CHUNK_BYTES) if at == lost else PAPER.chunk(at)
    )
    assert step(lying(raw)) == "inclusion"


def test_a_holder_that_kept_its_last_answer_cannot_give_it_again() -> None:
    raw = PAPER.answer(ROOT)
    with stranger(lying(raw)) as server:
        challenged(server.at("127.0.0.1", PATH))
    assert step(lying(raw), LATER) == "challenge"


def test_another_holders_answer_is_not_ones_own() -> None:
    assert step(lying(PAPER.answer(key=key("another holder")))) == "challenge"


def test_the_answer_for_another_file_is_refused() -> None:
    assert step(lying(Held(a_file(40 * CHUNK_BYTES + 5, "another")).answer())) == "challenge"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"<html>sign in</html>", b"\xff\x00", b"[" * 50_000, b'"' + b"\x1b[31m" * 1_000]
)
def test_garbage_proves_nothing(content: bytes) -> None:
    assert step(lying(content)) == "answer"


def test_an_answer_longer_than_any_is_not_read_to_its_end() -> None:
    assert isinstance(failed(lying(bytes(MAX_ANSWER_BYTES + 1))), SourceUnreadableError)


def test_an_answer_that_some_fetcher_let_pass_is_still_limited() -> None:
    def careless(_method: str, _address: str, _limit: int, _body: bytes) -> Answer:
        return Answer(200, {}, b" " * (MAX_ANSWER_BYTES + 1))

    with pytest.raises(VerificationError, match=f"at most {MAX_ANSWER_BYTES} bytes"):
        challenge(format_location("http://127.0.0.1/", HOLDER.public_key), PAPER.deposit, NOW, careless)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NotFoundError),
        (410, NotFoundError),
        (204, ServiceRefusedError),
        (301, ServiceRefusedError),
        (400, ServiceRefusedError),
        (403, ServiceRefusedError),
        (408, ServiceUnavailableError),
        (429, ServiceUnavailableError),
        (500, ServiceUnavailableError),
        (503, ServiceUnavailableError),
    ],
)
def test_only_what_the_holder_says_itself_is_a_loss(status: int, error: type[LedgerError]) -> None:
    headers = ("location: http://169.254.169.254/",) if status == 301 else ()
    content = b"" if status == 204 else b"\x1b[31mwords"
    assert type(failed(answering(content, status, *headers))) is error


def test_a_holder_that_is_not_there_is_no_loss() -> None:
    assert isinstance(failed(lambda _, send: send(reply(b"", length=10))), SourceUnreadableError)
    assert isinstance(failed(lambda _, send: send(b"")), SourceUnreadableError)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("https://holder.example.org/possession", InvalidFieldError),
        (f"https://holder.example.org/possession#ed25519:{(1).to_bytes(32, 'little').hex()}", WeakKeyError),
    ],
)
def test_a_holder_without_a_key_that_counts_is_not_asked(location: str, error: type[LedgerError]) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("asked")

    with pytest.raises(error):
        challenge(location, PAPER.deposit, NOW, never)


# The command.


@pytest.fixture
def pith(tmp_path: Path) -> Pith:
    return Pith.at(tmp_path / "data")


def keyed(pith: Pith, role: str = "contributor") -> Path:
    path = pith.data.parent / f"{role}.json"
    pith.fine("keygen", "did:web:holder.example.org", "-o", path, "--registry", "test.registry", "--role", role)
    return path


@contextmanager
def holding(pith: Pith, folder: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    process = pith.start("hold", folder, "--key", keyed(pith), "--port", 0, *arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def test_pith_hold_answers_until_it_is_told_to_stop(pith: Pith, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(PAPER.content)
    with holding(pith, folder, "--json") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert (facts["files"], facts["bytes"], facts["unreadable"]) == (1, len(PAPER.content), 0)
        assert facts["location"] == f"{facts['address']}/possession#ed25519:{facts['key']}"
        found = challenge(facts["location"], PAPER.deposit, NOW, ask)
        assert found.possession["holder_key"] == facts["key"]
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, b"")


def test_pith_hold_tells_people_the_location(pith: Pith, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "one").write_bytes(b"1")
    with holding(pith, folder) as process:
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(5)).decode()
        assert "holding    1 file, 1 byte" in said
        assert "#ed25519:" in said


def test_pith_hold_takes_only_a_key_of_its_own(pith: Pith, tmp_path: Path) -> None:
    result = pith("hold", tmp_path, "--key", keyed(pith, "receipt"))
    assert (result.code, result.crashed) == (2, False)
    assert "key-role" in result.err
    result = pith("hold", tmp_path / "nowhere", "--key", keyed(pith))
    assert (result.code, result.crashed) == (2, False)
    assert "no such folder" in result.err
