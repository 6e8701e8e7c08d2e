"""A registry to look at: real papers, and two made-up ones with every kind of attestation around them.

All of it goes the way that anybody's data goes: keys are made and registered, statements are signed and
appended, a moderator decides. Run again, it finds its work done and only shows it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from api.addresses import served
from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.events import Event
from ledger.keys import Role, SecretKey
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ledger.registry import DEFAULT_POLICY
from ledger.signing import HeldKey, Signatory
from ledger.subjects import registry_subject
from ledger.times import seconds
from ops import regtest
from ops.checkpointing import newest
from ops.cli.output import say, settings, show_checks
from ops.cli.reading import show_record
from ops.databases import has_log
from ops.home import Home, create_home, now, open_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.keyfiles import read_key, write_key
from ops.verify import verify_path
from ops.whole_files import as_file
from projections import bundles, queries

SAMPLES: Final = Path(__file__).parent / "samples"
NAME: Final = "demo.registry"
PAPER: Final = "https://example.org/carberry/2008/cracked-pottery"
CITING_PAPER: Final = "https://example.org/carberry/2012/psychoceramics-revisited"
CARBERRY: Final = "orcid:0000-0002-1825-0097"
BLOCK_HEIGHT: Final = 101


def main() -> None:
    """Make the demonstration registry in PITH_DATA where there is none, and show one record with its proof."""
    found = settings()
    home = open_home(found) if has_log(found) else create_home(found, NAME)
    try:
        _import(home)
        home.catch_up()
        subject = queries.resolve(home.projections, PAPER).subject
        if not _attested(home, subject):
            _attest(home, subject, queries.resolve(home.projections, CITING_PAPER).subject)
            home.catch_up()
        _show(home, subject)
    finally:
        home.close()


def _import(home: Home) -> None:
    report = Report()
    for path in sorted(SAMPLES.glob("*.json*")):
        import_sources(home, files.sources(path), report, lambda _: None)
    say(
        f"{home.store.registry_name}: {report.created} papers imported, {report.unchanged} there already, "
        f"{report.refused_count} refused; {report.events} events signed ({report.peak_memory_mb:.0f} MB peak memory)"
    )


def _attested(home: Home, subject: str) -> bool:
    entries = home.store.of_subjects([subject], home.store.head().size)[subject]
    return any(entry.event.event_type == "moderation_decision" for entry in entries)


def _attest(home: Home, subject: str, citing: str) -> None:
    registry = home.signatory("event")
    author = _person(home, "author", CARBERRY, "contributor")
    replicator = _person(home, "replicator", "did:web:laboratory.example.org", "contributor")
    checker = _person(home, "checker", "did:web:checker.example.org", "storage_checker")
    moderator = _person(home, "moderator", "did:web:moderator.example.org", "moderator")
    policy = {**DEFAULT_POLICY, "bitcoin": [{"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}]}
    _append(home, registry, "policy_set", "registry", policy)
    evidence = {
        "identifier": CARBERRY,
        "method": "demonstration: nobody logged in",
        "evidence": "The demonstration takes the word of the demonstration.",
        "proven_at": registry.now(),
        "key_id": author.key.key_id,
    }
    _append(home, registry, "identity_evidence", "registry", evidence)

    record = home.store.of_subjects([subject], home.store.head().size)[subject][0].event.payload
    anchored = {"what": "record", "sha256": record.canonical_sha256}
    _append(home, registry, "timestamp_anchor", subject, _stamped(home, anchored))
    content = (SAMPLES / "demonstration.txt").read_bytes()
    storage = {
        "location": {"kind": "warc", "url": "file:ops/samples/demonstration.txt"},
        "content": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "media_type": "text/plain"},
        "captured_at": checker.now(),
        "grade": "fetched",
        "outcome": "stored",
    }
    _append(home, checker, "storage_attestation", subject, storage)
    claim = {
        "author_name": "Josiah Carberry",
        "author_position": 1,
        "statement": "I wrote this paper, as far as a fictitious professor can.",
    }
    _append(home, author, "author_attestation", subject, claim)
    citation = {"citing": citing, "relationship": "extends", "quote": "The pots, once cracked, stay cracked."}
    _append(home, author, "citation_signature", subject, citation)
    artefact = {"url": "https://example.org/replication.tar.gz", "sha256": hashlib.sha256(b"replication").hexdigest()}
    replication = {"kind": "replication", "outcome": "reproduced", "artefacts": [artefact]}
    held = _append(home, replicator, "replication_record", subject, replication)
    decision = {"decision": "accepted", "reason": "The archive opens and the figures come out as stated."}
    _append(home, moderator, "moderation_decision", subject, decision, held.id_text)

    note = newest(home).note
    size = home.store.checkpoints.published().size
    anchored = {"what": "checkpoint", "sha256": hashlib.sha256(note).hexdigest(), "tree_size": size}
    _append(home, registry, "timestamp_anchor", "registry", _stamped(home, {**anchored, "note": note.decode()}))


def _stamped(home: Home, anchored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an anchor that the toy chain confirms at once."""
    proof, header = regtest.stamp(bytes.fromhex(anchored["sha256"]), home.clock() // 1_000_000, BLOCK_HEIGHT)
    return {
        "anchored": anchored,
        "method": "opentimestamps",
        "service": "https://calendar.example.org",
        "proof_b64": base64.b64encode(proof).decode(),
        "status": "confirmed",
        "attested_time": seconds(home.clock()),
        "block_header": header.hex(),
        "height": BLOCK_HEIGHT,
    }


def _person(home: Home, name: str, signer_id: str, role: Role) -> Signatory:
    """Make somebody's key, where there is none, and register it the way their role asks for."""
    path = home.settings.keys / f"demo-{name}.json"
    if not path.exists():
        write_key(path, HeldKey(SecretKey(os.urandom(32)), home.store.registry_name, signer_id, role))
    person = Signatory(read_key(path), now, os.urandom)
    if home.store.registry().keys.find(person.key.key_id) is None:
        signer = person if role == "contributor" else home.signatory("event")
        _append(home, signer, "key_registered", registry_subject(home.store.registry_name), person.statement())
    return person


def _append(
    home: Home, signer: Signatory, event_type: str, subject: str, payload: Mapping[str, Any], target: str | None = None
) -> Event:
    disclosures: dict[str, Disclosure]
    event, disclosures = signer.sign(event_type, subject, payload, target=target)
    home.append([Submission(event, disclosures)])
    return event


def _show(home: Home, subject: str) -> None:
    document = served(
        queries.record(home.projections, subject, home.store.registry().anchored_size()), home.settings.base_url
    )
    newest(home)
    claim = next(
        entry
        for entry in home.store.of_subjects([subject], home.store.head().size)[subject]
        if entry.event.event_type == "author_attestation"
    )
    say("")
    show_record(msgspec.json.decode(msgspec.json.encode(document)))
    root = home.store.entry(0).event.id_text
    for name, found in (
        ("bundle", bundles.bundle(home.store, subject)),
        ("receipt", receipts.receipt(home.store, claim)),
    ):
        path = home.settings.data / f"demonstration.{name}.json"
        path.write_bytes(as_file(found))
        say("", f"pith verify {path} --root {root}")
        show_checks(verify_path(path, Trust(root)))
    say("", "This paper is made up and its Bitcoin block is a toy (regtest); the other records are real. Look around:")
    say(
        '  .venv/bin/pith find "neural machine translation"',
        "  .venv/bin/pith show QKNOCXGU",
        f"  .venv/bin/pith history {subject}",
        f"  .venv/bin/pith receipt {claim.event.id_text}",
    )


if __name__ == "__main__":
    main()
