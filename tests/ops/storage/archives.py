"""A real web archive for tests: pywb in record mode on loopback, behind a front that speaks Save Page Now 2.

The front takes orders for captures, which pywb makes into a real WARC, and hands CDX and replay through. Its switches
make it lie. pywb is a program of its own (GPL): it is started, never imported.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from warcio.archiveiterator import ArchiveIterator  # type: ignore[import-untyped]

from ops.fetching import Fetching
from ops.services import WebArchive
from tests.processes import environment

KEYS: Final = ("an access key", "a secret key")
COLLECTION: Final = "papers"
PATIENCE_SECONDS: Final = 60.0
_PROGRAMS: Final = Path(sys.executable).parent


@cache
def shared_fetching() -> Fetching:
    """Return what all tests of a process ask archives with, as a worker has one for itself."""
    return Fetching(20)


@dataclass(slots=True)
class Switches:
    """How the archive fails or lies; all off, it is honest.

    `error` is a code that it answers orders with, `job_error` one that jobs end with. `other_bytes` stand in for every
    content, `other_stamp` is a time to which every replay redirects, `other_datetime` the time it says a capture is of.
    `status` answers everything with a status, `replay_status` every replay.
    """

    error: str = ""
    job_error: str = ""
    is_pending: bool = False
    is_unindexed: bool = False
    other_bytes: bytes | None = None
    other_stamp: str = ""
    other_datetime: str = ""
    status: int = 0
    replay_status: int = 0


@dataclass
class RealArchive:
    """A running archive: its front's address, what was ordered, and its folder of WARCs."""

    address: str
    pywb: str
    folder: Path
    switches: Switches = field(default_factory=Switches)
    ordered: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)

    def settings(self, name: str = "local") -> WebArchive:
        access, secret = KEYS
        return WebArchive(name, f"{self.address}/save", f"{self.address}/cdx", f"{self.address}/web", access, secret)

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    @property
    def warcs(self) -> list[Path]:
        return sorted((self.folder / "archive").glob("*.warc.gz"))

    def stamps(self, url: str) -> list[str]:
        """Return the times of the captures that pywb's own index knows."""
        answer = httpx.get(f"{self.pywb}/{COLLECTION}/cdx", params={"url": url, "output": "json"}, timeout=30)
        return [json.loads(line)["timestamp"] for line in answer.text.splitlines() if line]

    def captured(self, url: str) -> str:
        """Have pywb capture an address by itself, as others may have asked it to; return the time."""
        before = set(self.stamps(url))
        httpx.get(f"{self.pywb}/{COLLECTION}/record/id_/{url}", timeout=30).raise_for_status()
        (found,) = eventually(lambda: set(self.stamps(url)) - before)
        return str(found)

    @contextmanager
    def without_warcs(self) -> Iterator[None]:
        """Let the archive lose all that it has, for a while."""
        aside = self.folder / "aside"
        aside.mkdir()
        moved = [self.folder / "indexes" / "autoindex.cdxj"]
        for path in moved:
            shutil.move(path, aside / path.name)
        moved[0].write_text("")
        try:
            yield
        finally:
            for path in moved:
                shutil.move(aside / path.name, path)
            aside.rmdir()

    @contextmanager
    def with_changed(self, old: bytes, new: bytes) -> Iterator[None]:
        """Change bytes within every stored WARC (of the same length), record by record, for a while."""
        index = self.folder / "indexes" / "autoindex.cdxj"
        kept = {path: path.read_bytes() for path in [*self.warcs, index]}
        lines = index.read_text().splitlines()
        for path in self.warcs:
            moves = _rewritten(path, old, new)
            lines = [_moved(line, path.name, moves) for line in lines]
        index.write_text("\n".join(lines) + "\n")
        try:
            yield
        finally:
            for path, content in kept.items():
                path.write_bytes(content)


def _rewritten(path: Path, old: bytes, new: bytes) -> dict[str, tuple[int, int]]:
    """Replace bytes in each record of a WARC, every record a gzip member; return where each record moved, by offset."""
    raw, written, moves = path.read_bytes(), io.BytesIO(), {}
    records = ArchiveIterator(io.BytesIO(raw))
    spans = []
    for record in records:
        record.content_stream().read()
        spans.append((records.get_record_offset(), records.get_record_length()))
    for offset, length in spans:
        packed = gzip.compress(gzip.decompress(raw[offset : offset + length]).replace(old, new))
        moves[str(offset)] = (written.tell(), len(packed))
        written.write(packed)
    path.write_bytes(written.getvalue())
    return moves


def _moved(line: str, name: str, moves: dict[str, tuple[int, int]]) -> str:
    key, stamp, text = line.split(" ", 2)
    fields = json.loads(text)
    if fields["filename"] == name:
        offset, length = moves[fields["offset"]]
        fields["offset"], fields["length"] = str(offset), str(length)
    return f"{key} {stamp} {json.dumps(fields)}"


def eventually(look: Any, seconds: float = PATIENCE_SECONDS) -> Any:
    """Look again and again until there is something; fails after a while."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            pytest.fail("it did not come about in time", pytrace=False)
        time.sleep(0.05)


@contextmanager
def web_archive(folder: Path) -> Iterator[RealArchive]:
    """Run an archive in an empty folder for as long as the block is open."""
    run = {**environment(), "PYTHONPATH": str(_without_proxy(folder / "modules"))}
    work = folder / "pywb"
    work.mkdir()
    subprocess.run(
        [_PROGRAMS / "wb-manager", "init", COLLECTION], cwd=work, env=run, check=True, capture_output=True, timeout=60
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--record", "--live", "-a", "--auto-interval", "1", "-b", "127.0.0.1", "-p", str(port)]
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(
            [_PROGRAMS / "wayback", *options], cwd=work, env=run, stdout=log, stderr=log, start_new_session=True
        )
    front = _Front()
    address = f"http://127.0.0.1:{front.server_address[1]}"
    archive = RealArchive(address, f"http://127.0.0.1:{port}", work / "collections" / COLLECTION)
    front.archive = archive
    serving = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        eventually(lambda: process.poll() is not None or _answers(archive.pywb))
        if process.poll() is not None:
            pytest.fail(f"pywb did not start: {(work / 'log').read_text()[-2_000:]}", pytrace=False)
        yield archive
    finally:
        front.shutdown()
        serving.join()
        front.server_close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _without_proxy(folder: Path) -> Path:
    """Return a folder of modules for pywb in which its proxy mode is left out.

    That mode makes certificates with an interface that newer releases of `cryptography` do not have any more, and
    pywb looks for it at its start although nothing here uses it.
    """
    package = folder / "wsgiprox"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "wsgiprox.py").write_text("WSGIProxMiddleware = None\n")
    return folder


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


class _Front(ThreadingHTTPServer):
    daemon_threads = True
    archive: RealArchive

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Front

    @property
    def _archive(self) -> RealArchive:
        return self.server.archive

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        switches, archive = self._archive.switches, self._archive
        if self._fails(switches.status):
            return
        if self.headers.get("authorization") != "LOW " + ":".join(KEYS):
            self._json({"message": "You need to be logged in to use Save Page Now."}, 401)
            return
        if switches.error:
            self._json({"status": "error", "status_ext": switches.error, "message": "It could not be captured."})
            return
        (url,) = parse_qs(body.decode())["url"]
        archive.ordered.append(url)
        job = f"spn2-{hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()}"
        if job not in archive.jobs:
            httpx.get(f"{archive.pywb}/{COLLECTION}/record/id_/{url}", timeout=30)
            archive.jobs[job] = url
        self._json({"url": url, "job_id": job})

    def do_GET(self) -> None:
        switches, archive = self._archive.switches, self._archive
        if self._fails(switches.status):
            return
        if self.path.startswith("/save/status/"):
            url = archive.jobs.get(self.path.rpartition("/")[2])
            if url is None:
                self._json({"status": "error", "status_ext": "error:job-not-found", "message": "No such job."})
            elif switches.job_error:
                self._json({"status": "error", "status_ext": switches.job_error, "message": "It went wrong."})
            elif switches.is_pending or not (stamps := archive.stamps(url)):
                self._json({"status": "pending", "resources": []})
            else:
                found = {"status": "success", "timestamp": stamps[-1], "original_url": url, "duration_sec": 1.5}
                self._json({**found, "http_status": 200, "counters": {}})
        elif self.path.startswith("/cdx?"):
            self._index()
        elif self.path.startswith("/web/"):
            self._replay()
        else:
            self._fails(404)

    def _index(self) -> None:
        if self._archive.switches.is_unindexed:
            self._json([])
            return
        query = parse_qs(self.path.partition("?")[2])
        found = httpx.get(
            f"{self._archive.pywb}/{COLLECTION}/cdx",
            params={"url": query["url"][0], "output": "json", "from": query["from"][0]},
            timeout=30,
        )
        rows = [json.loads(line) for line in found.text.splitlines() if line]
        names = ["timestamp", "original", "statuscode"]
        self._json([names, *([row["timestamp"], row["url"], row["status"]] for row in rows)] if rows else [])

    def _replay(self) -> None:
        switches = self._archive.switches
        if self._fails(switches.replay_status):
            return
        stamp, _, url = self.path.removeprefix("/web/").partition("/")
        if switches.other_stamp and not stamp.startswith(switches.other_stamp):
            self._answer(302, b"", {"location": f"/web/{switches.other_stamp}id_/{url}"})
            return
        with httpx.stream("GET", f"{self._archive.pywb}/{COLLECTION}/{stamp}/{url}", timeout=30) as answer:
            content = b"".join(answer.iter_raw())
        kept = ("content-type", "memento-datetime", "content-encoding", "location")
        headers = {name: answer.headers[name] for name in kept if name in answer.headers}
        if switches.other_datetime:
            headers["memento-datetime"] = switches.other_datetime
        if switches.other_bytes is not None and answer.status_code == 200:
            content = switches.other_bytes
        self._answer(answer.status_code, content, headers)

    def _fails(self, status: int) -> bool:
        if status:
            self._answer(status, b"no", {"content-type": "text/plain"})
        return bool(status)

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), {"content-type": "application/json"})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
