"""Offline verification of files: whatever this ledger hands out, checked with no network and no database.

Each check is named, in order, and the first that fails raises with its name; what was checked is returned
as sentences for the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ledger import tlog_proof
from ledger.errors import UsageError, VerificationError
from ledger.keys import check_public_key, decode_signature, fingerprint, key_id, verify_receipt
from ledger.proofs.receipts import CONSISTENCY_TYPE, RECEIPT_TYPE
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_consistency_file, verify_inclusion_file, verify_receipt_file
from ledger.records import check_digest, check_texts, snapshot_sha256
from ledger.signatures import parse_receipt
from ops.evidence import EVIDENCE_TYPE, verify_evidence
from ops.home import PUBLISHED_KEYS
from ops.importers.strict import decode_object
from ops.verify_export import verify_export
from projections.bundles import BUNDLE_TYPE
from projections.verify_bundle import record_identity, verify_bundle

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
EXCERPT: Final = 600
Progress = Callable[[int], None]


def verify_path(path: Path, trust: Trust, progress: Progress = lambda _: None) -> list[str]:
    """Verify a file or an exported folder; return what was found to hold, one sentence a check.

    Raises:
        VerificationError: the first check that failed, named.
        UsageError: it is nothing that can be verified.
    """
    if path.is_dir():
        return verify_export(path, trust, progress)
    if path.exists() and not path.is_file():
        raise UsageError("neither a file nor a folder", place=str(path))
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(
                f"more than {MAX_FILE_BYTES} bytes", place=str(path), cure="give an exported folder instead"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(path)) from None
    if tlog_proof.is_proof(raw):
        _refuse(("--root", trust.root), what="a proof names no root: its log's key is asked for with --log-key")
        return verify_inclusion_file(raw, trust)
    with step("canonical form"):
        found = decode_object(raw)
    answered = found.get("receipt") if "event_id" in found else None
    if isinstance(answered, Mapping) and answered.get("receipt_type") == RECEIPT_TYPE:
        found = dict(answered)  # a registry's answer to a submission, as it was saved
    if found.get("bundle_type") == BUNDLE_TYPE:
        return verify_bundle(found, trust)
    if found.get("receipt_type") == RECEIPT_TYPE:
        return verify_receipt_file(found, trust)
    if found.get("proof_type") == CONSISTENCY_TYPE:
        return verify_consistency_file(found, trust)
    if found.get("evidence_type") == EVIDENCE_TYPE:
        _refuse(("--policy", trust.policy), what="a log that signs two histories is caught with or without witnesses")
        if trust.root and trust.log_key:
            raise UsageError("give --root or --log-key, not both", place="--log-key")
        return verify_evidence(found, trust.root, trust.log_key)
    if found.get("record_type") == "pith_number_record":
        what = "a record document is no part of a log: ask for a bundle"
        _refuse(("--root", trust.root), ("--log-key", trust.log_key), ("--policy", trust.policy), what=what)
        return verify_document(found, trust.receipt_keys)
    raise UsageError(
        "neither a record document, a bundle, a receipt, a proof nor evidence of a fork",
        place=str(path),
        cure="give a file from `pith show --json`, `pith bundle`, `pith receipt`, `pith proof` or `pith monitor`",
    )


def _refuse(*options: tuple[str, object], what: str) -> None:
    """Refuse options that this kind of file cannot be checked by, so that nobody takes them for checked."""
    for name, value in options:
        if value is not None:
            raise UsageError(what, place=name, cure=f"leave {name} out")


def verify_document(document: Mapping[str, Any], keys: Mapping[str, bytes]) -> list[str]:
    """Verify a record document: number, hash, texts and pith_receipt. Its other statements are only shown."""
    identity = record_identity(document)
    done = [f"number: {identity.number} is the hash of the canonical record"]
    with step("title"):
        paper = document["paper"]
        excerpt = paper.get("abstract_excerpt", "")
        abstract = paper.get("abstract", excerpt if len(excerpt) < EXCERPT else None)
        check_texts(document["canonical_record"], paper["title"], abstract)
        whole = (
            "title and abstract hash"
            if abstract is not None
            else "the title hashes (of the abstract only an excerpt is here)"
        )
        done.append(f"title: {whole} to the canonical record")
    with step("signature"):
        receipt = parse_receipt(document["receipt"], "receipt")
        check_digest(receipt.canonical_sha256, identity, "receipt.canonical_sha256")
        key = _receipt_key(receipt.key_id, receipt.public_key_fingerprint, keys)
        verify_receipt(key, identity.digest, decode_signature(receipt.signature_b64, "receipt.signature_b64"))
        done.append(f"signature: the receipt is signed by {receipt.key_id} ({key.hex()})")
    with step("integrity"):
        done += _integrity(document.get("graph_snapshot"))
    return done


def _integrity(graph: Any) -> list[str]:
    """Check the hash over the detectors and findings that a document shows (public protocol, snapshot rule)."""
    block = graph.get("integrity") if isinstance(graph, Mapping) else None
    if not isinstance(block, Mapping) or not block.get("available"):
        return []
    shown = {"detectors": block["detectors_run"], "findings": block["findings"]}
    if snapshot_sha256(shown) != block["snapshot_sha256"]:
        raise VerificationError("integrity", "the findings do not hash to their snapshot_sha256")
    return [f"integrity: {len(block['findings'])} findings hash to their snapshot_sha256"]


def _receipt_key(label: str, stated: str, keys: Mapping[str, bytes]) -> bytes:
    known = {name: bytes.fromhex(key) for name, key, _ in PUBLISHED_KEYS} | dict(keys)
    for name, key in known.items():
        if label in (name, key_id(key)):
            check_public_key(key)
            if fingerprint(key) != stated:
                raise VerificationError(
                    "key validity", f"the receipt names fingerprint {stated}, {name} has {fingerprint(key)}"
                )
            return key
    raise VerificationError(
        "key validity",
        f"the receipt's key {label} is not known",
        place="receipt.key_id",
        cure="give it with --key LABEL=HEX",
    )
