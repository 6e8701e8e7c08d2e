"""A registry's first day, told by commands alone: keys, papers, attestations, decisions, proofs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.builders import HASH
from tests.ops.homes import a_line, as_lines
from tests.processes import Pith, Result
from tests.simulators import pending_anchor

NAME: Final = "story.registry"
ORCID: Final = "orcid:0000-0002-1825-0097"
TEXTS: Final = {
    "statement": "I wrote this paper on a rainy afternoon.",
    "quote": "A sentence nobody has looked at yet.",
    "challenge": "This text was taken down by the moderator.",
    "reason": "The archive opens, the figures come out.",
    "evidence": "The token that the provider gave us.",
}
"""Private texts, each in one place of the story; that of `quote` stays held, that of `challenge` is redacted."""


@dataclass(slots=True)
class Story:
    """A finished story: the folder, the results of its commands by name, and the ids it made."""

    folder: Path
    pith: Pith
    results: dict[str, Result] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    number: str = ""

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key.json"

    @property
    def registry_key(self) -> Path:
        return self.pith.data / "keys" / "event.json"

    def seeds(self) -> list[str]:
        """Return every secret of the story."""
        paths = [*self.folder.glob("*.key.json"), *(self.pith.data / "keys").glob("*.json")]
        return [json.loads(path.read_bytes())["seed"] for path in paths]

    def sign(self, name: str, event_type: str, payload: object = None, *, by: Path, target: str = "") -> bytes:
        """Sign a statement about the paper (or the registry's stream) and remember its id."""
        about_registry = event_type in ("key_registered", "identity_evidence", "policy_set")
        content = [] if payload is None else [json.dumps(payload)]
        arguments = ["sign", event_type, "registry" if about_registry else self.number, *content, "--key", by]
        line = self.pith.fine(*arguments, *(["--target", target] if target else [])).out.encode()
        event = json.loads(line)
        self.events[name] = event.get("event", event)["event_id"]
        return line

    def append(self, name: str, *statements: Callable[[], bytes]) -> None:
        """Sign statements, two at a time, and hand them in together in their order."""
        with ThreadPoolExecutor(2) as threads:
            lines = list(threads.map(lambda statement: statement(), statements))
        self.results[name] = self.pith.fine("append", "-", "--json", given=b"".join(lines))

    def run(self, name: str, *arguments: object) -> Result:
        self.results[name] = self.pith.fine(*arguments)
        return self.results[name]

    def run_all(self, commands: Mapping[str, Sequence[object]]) -> None:
        """Run commands that do not depend on each other, two at a time."""
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda name: self.run(name, *commands[name]), commands))


def told(folder: Path) -> Story:
    """Tell the story."""
    story = Story(folder, Pith.at(folder / "data", PITH_BASE_URL="https://pith.example"))
    story.run("init", "init", NAME, "--json")
    _keys(story)
    papers = folder / "papers.jsonl"
    orcid = [{"name": "Josiah Carberry", "orcid": ORCID.removeprefix("orcid:")}]
    papers.write_bytes(as_lines([a_line(1, authors=orcid), a_line(2, doi="10.1000/182")]))
    story.run("import", "import", papers, "--json")
    story.number = json.loads(story.run("find", "find", "paper number 1", "--json").out)[0]["subject"]
    _attestations(story)
    _proofs(story)
    return story


def _keys(story: Story) -> None:
    people = {"alice": ORCID, "bob": "name:bob", "moderator": "name:moderator", "checker": "name:checker"}
    roles = {"moderator": "moderator", "checker": "storage_checker"}
    story.run_all(
        {
            f"keygen {name}": (
                *("keygen", signer_id, "-o", story.key(name), "--role", roles.get(name, "contributor"), "--json"),
            )
            for name, signer_id in people.items()
        }
    )
    by_registry = partial(story.sign, by=story.registry_key)
    evidence = {
        "identifier": ORCID,
        "method": "orcid-oauth",
        "evidence": TEXTS["evidence"],
        "proven_at": "2026-01-01T00:00:00Z",
        "key_id": story.results["keygen alice"].json["key_id"],
    }
    story.append(
        "keys",
        *(partial(story.sign, f"key of {name}", "key_registered", by=story.key(name)) for name in ("alice", "bob")),
        *(
            partial(by_registry, f"key of {name}", "key_registered", story.results[f"keygen {name}"].json["statement"])
            for name in roles
        ),
        partial(by_registry, "identity", "identity_evidence", evidence),
    )


def _attestations(story: Story) -> None:
    shown: dict[str, Any] = story.run("show before", "show", story.number, "--json").json
    sha256 = shown["canonical_sha256"]
    proof = base64.b64encode(pending_anchor(bytes.fromhex(sha256), "https://calendar.example.org")).decode()
    anchor = {
        "anchored": {"what": "record", "sha256": sha256},
        "method": "opentimestamps",
        "service": "https://calendar.example.org",
        "proof_b64": proof,
        "status": "pending",
    }
    storage = {
        "location": {"kind": "https", "url": "https://example.org/paper.pdf"},
        "captured_at": "2026-01-01T00:00:00Z",
        "grade": "fetched",
        "outcome": "stored",
        "content": {"sha256": HASH, "bytes": 12, "media_type": "application/pdf"},
    }
    author = {"author_name": "Josiah Carberry", "author_position": 1, "statement": TEXTS["statement"]}
    citation = {"citing": "doi:10.1000/182", "relationship": "supports", "quote": TEXTS["quote"]}
    artefacts = [{"url": "https://example.org/run.tar", "sha256": HASH}]
    replication = {"kind": "replication", "outcome": "reproduced", "artefacts": artefacts}
    challenge = {"about": "the count", "text": TEXTS["challenge"]}
    alice, bob, moderator = (partial(story.sign, by=story.key(name)) for name in ("alice", "bob", "moderator"))
    story.append(
        "attestations",
        partial(story.sign, "anchor", "timestamp_anchor", anchor, by=story.registry_key),
        partial(story.sign, "storage", "storage_attestation", storage, by=story.key("checker")),
        partial(alice, "author", "author_attestation", author),
        partial(bob, "citation", "citation_signature", citation),
        partial(alice, "replication", "replication_record", replication),
        partial(alice, "challenge", "challenge", challenge, target="C1"),
    )
    accepted = {"decision": "accepted", "reason": TEXTS["reason"]}
    redacted = {"decision": "redacted"}
    story.append(
        "decisions",
        partial(moderator, "accept", "moderation_decision", accepted, target=story.events["replication"]),
        partial(moderator, "redact", "moderation_decision", redacted, target=story.events["challenge"]),
    )


def _proofs(story: Story) -> None:
    root, number, export = story.results["init"].json["root"], story.number, story.folder / "export"
    story.run("rebuild", "rebuild", "--json")
    story.run_all(
        {
            "show": ("show", number, "--json"),
            "show for people": ("show", number),
            "history": ("history", number, "--json"),
            "history for people": ("history", number),
            "replay": ("replay", "--json"),
            "bundle": ("bundle", number),
            "export": ("export", export, "--json"),
        }
    )
    bundle = story.folder / "bundle.json"
    bundle.write_text(story.results["bundle"].out)
    story.run_all(
        {
            "verify bundle": ("verify", bundle, "--root", root, "--json"),
            "verify export": ("verify", export, "--root", root, "--json"),
        }
    )
