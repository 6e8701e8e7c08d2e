"""What the registry costs beside the framework it stands on, as a program: `python -m ops.bench.http`.

Everything listens on loopback: the bare routes in one process, the registry in another, both on the same server; this
process is the load, over 32 connections. Settings: `folder` to write into.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from ledger.appending import Submission
from ledger.keys import SecretKey
from ledger.signing import HeldKey, Signatory
from ledger.subjects import registry_subject
from ops.bench.load import Loaded, load
from ops.bench.peers.answering import Case, Outcome, Pipe
from ops.bench.servers import running
from ops.home import Home, collect_rarely, create_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.settings import Settings
from projections import queries

SIGNERS: Final = 50
READ_PAPERS: Final = 32
PAPERS: Final = Path(__file__).parent.parent / "samples" / "papers.jsonl.gz"


def main() -> None:
    pipe = Pipe()
    collect_rarely()
    folder = Path(pipe.settings["folder"])
    data = folder / "registry"
    home = create_home(Settings(data, "http://127.0.0.1:8080"), "bench.registry")
    import_sources(home, files.sources(PAPERS), Report(), lambda _: None)
    home.catch_up()
    writers = Writers(home)
    with running("ops.bench.registry", data) as registry:
        paths = [f"/pith/{subject[10:]}.json" for subject in writers.read]
        content = folder / "document.json"
        content.write_bytes(asked(registry, paths[0]))
        tags = {path: tag_of(registry, path) for path in paths}
        with running("ops.bench.bare", content) as bare:

            def read(port: int, requests: Sequence[bytes], status: int) -> Case:
                return lambda count: told(load(port, [requests[at % len(requests)] for at in range(count)]), status)

            def submit(count: int) -> Outcome:
                return told(load(registry, [posted("/api/events", body) for body in writers.sign(count)]), 201)

            def parse(count: int) -> Outcome:
                return told(load(bare, [posted("/parse", body) for body in writers.sign(count)]), 201)

            pipe.answer(
                "",
                {
                    "submit": submit,
                    "parse": parse,
                    "record": read(registry, [got(path) for path in paths], 200),
                    "known": read(registry, [got(path, tags[path]) for path in paths], 304),
                    "bytes": read(bare, [got("/bytes")], 200),
                },
            )
    home.close()


class Writers:
    """People whose keys a registry knows, and who cite its papers in turns."""

    def __init__(self, home: Home) -> None:
        self._signers = [registered(home, number) for number in range(SIGNERS)]
        found = [hit.subject for hit in queries.search(home.projections, "the", 200)]
        # Nobody cites the papers that are read: their documents must stay as they are.
        self.read, self._cited = found[:READ_PAPERS], found[READ_PAPERS:]
        self._signed = 0

    def sign(self, count: int) -> list[bytes]:
        """Return the bytes of citations that nobody has sent yet."""
        payload = {"citing": "arxiv:2605.25619", "relationship": "supports"}
        found = []
        for at in range(self._signed, self._signed + count):
            signer, subject = self._signers[at % SIGNERS], self._cited[at % len(self._cited)]
            found.append(signer.sign("citation_signature", subject, payload)[0].raw)
        self._signed += count
        return found


def registered(home: Home, number: int) -> Signatory:
    """Return somebody whose key the registry knows."""
    key = HeldKey(SecretKey(home.random(32)), home.store.registry_name, f"name:signer-{number}", "contributor")
    signatory = Signatory(key, home.clock, home.random)
    subject = registry_subject(home.store.registry_name)
    home.append([Submission(signatory.sign("key_registered", subject, signatory.statement())[0])])
    return signatory


def told(found: Loaded, status: int) -> Outcome:
    """Return what a load found; refuse a measurement in which one answer had another status."""
    count = found.statuses[status]
    if set(found.statuses) != {status}:
        raise ValueError(f"answers had the statuses {dict(found.statuses)}, not {status}")
    return count, count / found.rate, {"p50_ms": found.p50 * 1e3, "p99_ms": found.p99 * 1e3}


def posted(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def got(path: str, tag: str | None = None) -> bytes:
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{condition}\r\n".encode()


def asked(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        found: bytes = answer.read()
        return found


def tag_of(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return str(answer.headers["etag"])


if __name__ == "__main__":
    main()
