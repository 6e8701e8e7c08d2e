"""The events that everything is measured with: made from a seed, the same bytes on every machine.

A registry with 200 contributors, then papers: one `record_created` and nine attestations about it, of about 1 kB of
canonical JSON each. What is made is kept as lines of a file, since a million events take minutes to sign.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from ledger import records, subjects
from ledger.appending import Submission
from ledger.commitments import commit
from ledger.keys import Role, SecretKey
from ledger.registry import DEFAULT_POLICY
from ledger.signatures import issue_receipt
from ledger.signing import HeldKey, Signatory
from ledger.subjects import registry_subject
from ops.home import OWN_ROLES, Home, create_home
from ops.keyfiles import write_key
from ops.settings import Settings

REGISTRY: Final = "bench.registry"
EDITION: Final = 1
"""Named in the files that are kept; other events need another number."""

CONTRIBUTORS: Final = 200
ATTESTATIONS: Final = 9
EACH: Final = 1 + ATTESTATIONS
"""Events a paper."""

OPENED: Final = 1_748_736_000_000_000
"""2025-06-01T00:00:00Z: when the registry opens, in microseconds."""

TIME: Final = "2025-06-01T00:00:00Z"
SALT: Final = hashlib.sha256(b"salt").digest()
PAPERS_A_TASK: Final = 50
WORDS: Final = "We count what others have counted and find that it holds within the errors they gave for it"

Progress = Callable[[int], None]


class Ticking:
    """A clock that gains a microsecond at each look, from the moment the registry opened."""

    def __init__(self) -> None:
        self._now = itertools.count(OPENED)

    def __call__(self) -> int:
        return next(self._now)


def key_of(name: str) -> SecretKey:
    """Return the key that belongs to a name."""
    return SecretKey(hashlib.sha256(f"{REGISTRY} {name}".encode()).digest())


def create_registry(settings: Settings) -> Home:
    """Make the registry whose papers `lines` are about: its own keys, its policy and its contributors."""
    settings.data.mkdir(parents=True)
    for role in OWN_ROLES:
        write_key(settings.keys / f"{role}.json", HeldKey(key_of(role), REGISTRY, f"registry:{REGISTRY}", role))
    home = create_home(settings, REGISTRY, Ticking(), random.Random(REGISTRY).randbytes)
    # Everything counts at once, so that projections have all of it to fold.
    moderation = dict.fromkeys(DEFAULT_POLICY["moderation"], "accepted")
    subject = registry_subject(REGISTRY)
    events = [home.signatory("event").sign("policy_set", subject, {**DEFAULT_POLICY, "moderation": moderation})[0]]
    for number in range(CONTRIBUTORS):
        who = contributor(number, home.random)
        events.append(who.sign("key_registered", subject, who.statement())[0])
    home.append([Submission(event) for event in events])
    return home


def contributor(number: int, randomness: Callable[[int], bytes]) -> Signatory:
    name = f"contributor-{number % CONTRIBUTORS}"
    return Signatory(_held(name, f"name:{name}", "contributor"), lambda: OPENED, randomness)


def lines(folder: Path, count: int, progress: Progress = lambda _: None) -> Path:
    """Return a file that holds at least `count` events, a line each, in the order of their log; make it if need be.

    Args:
        folder: where such files are kept from one run to the next.
        progress: called with how many events were signed since the last call.
    """
    papers = -(-count // EACH)
    folder.mkdir(parents=True, exist_ok=True)
    known = sorted((int(path.stem.split("-")[2]), path) for path in folder.glob(f"events-{EDITION}-*.jsonl"))
    for held, path in known:
        if held >= papers * EACH:
            return path
    path = folder / f"events-{EDITION}-{papers * EACH}.jsonl"
    unfinished = path.with_suffix(".unfinished")
    starts = range(0, papers, PAPERS_A_TASK)
    with unfinished.open("wb") as file, ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
        try:
            for start, signed in zip(starts, pool.map(signed_papers, starts), strict=True):
                file.writelines(signed[: (papers - start) * EACH])
                progress(min(PAPERS_A_TASK, papers - start) * EACH)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # an interrupted run need not sign the rest
            raise
    unfinished.rename(path)
    return path


def read(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes of some of the events of a file."""
    with path.open("rb") as file:
        for line in itertools.islice(file, start, stop):
            yield line[:-1]


def signed_papers(start: int) -> list[bytes]:
    """Return the lines about PAPERS_A_TASK papers: the events of each in order."""
    return [event + b"\n" for number in range(start, start + PAPERS_A_TASK) for event in paper(number)]


def paper(number: int) -> Iterator[bytes]:
    """Yield the bytes of the events about one paper."""
    chance = random.Random(number)
    record, shown = _record(number, chance)
    identity = records.identify(record)
    source = record["source"]
    aliases = subjects.source_aliases(source["kind"], source["id"], source["version"], identity.suffix)
    registry = Signatory(_held("event", f"registry:{REGISTRY}", "event"), lambda: OPENED, chance.randbytes)
    payload = {
        "canonical_record": record,
        "canonical_sha256": identity.digest.hex(),
        "pith_receipt": issue_receipt(key_of("receipt"), identity.digest, "2025-06-01T00:00:00.000000Z"),
        "paper": shown,
        "aliases": [{"alias_kind": alias.kind, "alias_value": alias.value} for alias in aliases],
    }
    yield registry.sign("record_created", identity.number, payload)[0].raw
    for event_type, said in _said(number, chance):
        who = contributor(chance.randrange(CONTRIBUTORS), chance.randbytes)
        target = "C1" if event_type == "challenge" else None
        yield who.sign(event_type, identity.number, said, target=target)[0].raw


def _held(name: str, signer_id: str, role: Role) -> HeldKey:
    return HeldKey(key_of(name), REGISTRY, signer_id, role)


def _record(number: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a canonical record of about the usual length, and the paper block that belongs to it."""
    title, abstract = _text(chance, 9), _text(chance, 12)
    record = records.canonical_record(
        kind="arxiv",
        ident=_arxiv(number),
        version=1,
        title=title,
        abstract=abstract,
        categories=("cs.DL",),
        license="",
        submitted_at="2025-05-01T08:00:00Z",
    )
    return record, {"title": title, "authors": ["A. Author", "B. Author"], "abstract": abstract}


def _said(number: int, chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield type and payload of what contributors say about a paper; private texts stand as commitments."""
    hashed = chance.randbytes(32).hex
    address = f"https://archive.example.org/{chance.randbytes(60).hex()}/papers"
    yield (
        "author_attestation",
        {
            "author_name": "A. Author",
            "statement": commit(SALT, f"I wrote {number}."),
            "author_position": 1,
            "claims": [f"claim {at} of {_text(chance, 4)}"[:90] for at in range(3)],
        },
    )
    for _ in range(4):
        citing = f"arxiv:{_arxiv(chance.randrange(number + 1))}"
        yield (
            "citation_signature",
            {
                "citing": citing,
                "relationship": chance.choice(("supports", "extends", "compares", "cites")),
                "claim_id": _text(chance, 14)[:180],
                "quote": commit(SALT, citing),
            },
        )
    for kind in ("https", "s3"):
        content = {"sha256": hashed(), "bytes": chance.randrange(10**7), "media_type": "application/pdf"}
        location = {"kind": kind, "url": f"{address}/{number}.pdf"}
        said = {"location": location, "captured_at": TIME, "grade": "claimed", "outcome": "stored", "content": content}
        yield "storage_attestation", said
    artefact = {"url": address, "sha256": hashed()}
    yield "replication_record", {"kind": "replication", "outcome": "reproduced", "artefacts": [artefact]}
    yield (
        "challenge",
        {
            "about": _text(chance, 14)[:180],
            "text": commit(SALT, f"{number} is off by one."),
            "evidence": commit(SALT, address),
        },
    )


def _text(chance: random.Random, length: int) -> str:
    return " ".join(chance.choices(WORDS.split(), k=length)).capitalize()


def _arxiv(number: int) -> str:
    month, rest = divmod(number, 20_000)
    return f"{20 + month // 12:02}{1 + month % 12:02}.{rest + 1:05}"
