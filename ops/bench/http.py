"""What the registry costs beside the framework it stands on: submissions and reads, each beside a bare route.

Run as `python -m ops.bench.http` (or `make bench`); nothing else should run meanwhile. Everything listens on loopback:
the bare routes in one process, the registry in another, both on the same server; this process is the load. A round asks
one after the other, so that both sides meet the same machine.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from ledger.appending import Submission
from ledger.keys import SecretKey
from ledger.signing import HeldKey, Signatory
from ledger.subjects import registry_subject
from ops.bench.load import CONNECTIONS, Loaded, load
from ops.bench.servers import running
from ops.bench.sides import table
from ops.home import Home, create_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.settings import Settings
from projections import queries

ROUNDS: Final = 5
SUBMISSIONS: Final = 3_000
READS: Final = 8_000
SIGNERS: Final = 50
PAPERS: Final = Path(__file__).parent.parent / "samples" / "papers.jsonl.gz"


def main() -> None:
    """Measure everything and print it."""
    with tempfile.TemporaryDirectory(prefix="pith-bench-") as folder:
        data = Path(folder) / "registry"
        home = create_home(Settings(data, "http://127.0.0.1:8080"), "bench.registry")
        import_sources(home, files.sources(PAPERS), Report(), lambda _: None)
        home.catch_up()
        signers = [registered(home, number) for number in range(SIGNERS)]
        subjects = [hit.subject for hit in queries.search(home.projections, "the", 200)]
        events = [signed(signers[at % SIGNERS], subjects[at % len(subjects)]) for at in range(SUBMISSIONS * ROUNDS)]
        home.close()
        with running("ops.bench.registry", data) as registry:
            document = asked(registry, f"/pith/{subjects[0][10:]}.json")
            content = Path(folder) / "document.json"
            content.write_bytes(document)
            with running("ops.bench.bare", content) as bare:
                sys.stdout.write(reads(registry, bare, subjects[:32]) + "\n\n")
                sys.stdout.write(submissions(registry, bare, events) + "\n")


def registered(home: Home, number: int) -> Signatory:
    """Return somebody whose key the registry knows."""
    key = HeldKey(SecretKey(home.random(32)), home.store.registry_name, f"name:signer-{number}", "contributor")
    signatory = Signatory(key, home.clock, home.random)
    subject = registry_subject(home.store.registry_name)
    home.append([Submission(signatory.sign("key_registered", subject, signatory.statement())[0])])
    return signatory


def signed(signer: Signatory, subject: str) -> bytes:
    """Return the bytes of a citation that nobody has sent yet."""
    payload = {"citing": "arxiv:2605.25619", "relationship": "supports"}
    return signer.sign("citation_signature", subject, payload)[0].raw


def submissions(registry: int, bare: int, events: Sequence[bytes]) -> str:
    """Compare durable, verified submissions with a route that only parses the same bodies."""
    ours, others = [], []
    for number in range(ROUNDS):
        bodies = events[number * SUBMISSIONS : (number + 1) * SUBMISSIONS]
        others.append(load(bare, [posted("/parse", body) for body in bodies]))
        ours.append(load(registry, [posted("/api/events", body) for body in bodies]))
    assert all(found.statuses == {201: SUBMISSIONS} for found in ours), [found.statuses for found in ours]
    rows = [*sides("a route that parses the body", others, "the registry, durable and verified", ours)]
    tail = statistics.median(found.p99 / found.p50 for found in ours)
    rows.append(("p99 beside p50, the registry", f"{tail:.1f}"))
    return table(f"Submitting one event, {CONNECTIONS} connections, {ROUNDS} rounds of {SUBMISSIONS}", rows)


def reads(registry: int, bare: int, subjects: Sequence[str]) -> str:
    """Compare record documents, and 304s for them, with a route that returns the same bytes from memory."""
    memory = [got("/bytes")] * READS
    paths = [f"/pith/{subject[10:]}.json" for subject in subjects]
    records = [got(paths[at % len(paths)]) for at in range(READS)]
    tags = {path: tag_of(registry, path) for path in paths}
    known = [got(path, tags[path]) for path in (paths[at % len(paths)] for at in range(READS))]
    found: dict[str, list[Loaded]] = {"memory": [], "records": [], "known": []}
    load(registry, records)
    for _ in range(ROUNDS):
        found["memory"].append(load(bare, memory))
        found["records"].append(load(registry, records))
        found["known"].append(load(registry, known))
    assert all(one.statuses == {200: READS} for one in found["records"])
    assert all(one.statuses == {304: READS} for one in found["known"])
    rows = sides("a route that returns these bytes", found["memory"], "a record's document", found["records"])
    rows += sides("a route that returns these bytes", found["memory"], "304 for it", found["known"])[1:]
    return table(f"Reading a record, {CONNECTIONS} connections, {ROUNDS} rounds of {READS}", rows)


def sides(other: str, others: Sequence[Loaded], our: str, ours: Sequence[Loaded]) -> list[tuple[str, str]]:
    """Return both rates and latencies, and the median of each round's ratio."""
    ratios = sorted(mine.rate / theirs.rate for mine, theirs in zip(ours, others, strict=True))
    return [
        (other, line(others)),
        (our, line(ours)),
        (
            f"{our}: ratio",
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in single rounds)",
        ),
    ]


def line(found: Sequence[Loaded]) -> str:
    rate, p50, p99 = (statistics.median(getattr(one, name) for one in found) for name in ("rate", "p50", "p99"))
    return f"{rate:,.0f} a second, p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms"


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
