"""Offline verification of files: a record document, a bundle, an exported folder.

No network and no database is asked. Each check is named, in order, and the first that fails raises with
its name; what was checked is returned as sentences for the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from ledger import canonical
from ledger.database import open_sqlite
from ledger.errors import UsageError, VerificationError
from ledger.events import Entry, from_value
from ledger.keys import check_public_key, decode_signature, fingerprint, key_id, verify_receipt
from ledger.records import Identity, check_digest, check_record, check_texts, snapshot_sha256
from ledger.registry import Registry
from ledger.signatures import parse_receipt
from ledger.store import Store, create_log
from ledger.subjects import registry_subject
from ops.bundles import BUNDLE_TYPE, EXPORT_TYPE, EXPORT_VERSION, MERGE_VERSION, bundle_of
from ops.entry_rows import entry_of_row, whole
from ops.home import PUBLISHED_KEYS
from ops.importers.strict import decode_object
from ops.sparse import SparseTargets, verify_sparse
from ops.steps import step
from projections.judged import judge
from projections.rebuild import replay

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
PAGE: Final = 1_000
EXCERPT: Final = 600
Progress = Callable[[int], None]


def verify_path(
    path: Path, keys: Mapping[str, bytes], root: str | None, progress: Progress = lambda _: None
) -> list[str]:
    """Verify a file or an exported folder; return what was found to hold, one sentence a check.

    Args:
        keys: further receipt keys by label (32 raw bytes), beside the published ones.
        root: the event id that the log must begin with, known from elsewhere; None trusts the file's own.

    Raises:
        VerificationError: the first check that failed, named.
        UsageError: it is nothing that can be verified.
    """
    if path.is_dir():
        return verify_export(path, root, progress)
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b""
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(path)) from None
    with step("canonical form"):
        found = decode_object(raw)
    if found.get("bundle_type") == BUNDLE_TYPE:
        return verify_bundle(found, root)
    if found.get("record_type") == "pith_number_record":
        return verify_document(found, keys)
    raise UsageError(
        "neither a record document nor a bundle",
        place=str(path),
        cure="give a file from `pith show --json` or `pith bundle`",
    )


def verify_document(document: Mapping[str, Any], keys: Mapping[str, bytes]) -> list[str]:
    """Verify a record document: number, hash, texts and pith_receipt. Its other statements are only shown."""
    identity = _record(document)
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


def verify_bundle(bundle: Mapping[str, Any], root: str | None) -> list[str]:
    """Verify a bundle of this format: every signature and rule, and that its state follows from its events."""
    identity = _record(bundle)
    done = [f"number: {identity.number} is the hash of the canonical record"]
    with step("canonical form"):
        if bundle.get("merge_version") != MERGE_VERSION or "key_events" not in bundle:
            raise UsageError("this bundle follows merge rules that nobody has published", place="merge_version")
        key_events = [entry_of_row(row) for row in bundle["key_events"]]
        entries = [entry_of_row(row) for row in bundle["events"]]
        registry, size = Registry(registry_subject(bundle["registry"])[14:]), whole(bundle["log_size"])
        for entry in (*key_events, *entries):
            if entry.position >= size or entry.event.subject not in (identity.number, registry.subject):
                raise VerificationError("canonical form", f"position {entry.position} has no place in this bundle")
    done.append(f"canonical form: {len(entries)} events and {len(key_events)} key events are well formed")
    with step("root"):
        begins_with = key_events[0].event.id_text if key_events else ""
        if not key_events or key_events[0].position != 0 or begins_with != (root or bundle["root"]):
            raise VerificationError("root", f"the log begins with {begins_with}, not {root or bundle['root']}")
    pinned = "as you asked" if root else "by its own word: pin it with --root"
    done.append(f"root: {begins_with}, {pinned}")
    targets = SparseTargets()
    verify_sparse([*key_events, *entries], registry, targets)
    done.append(f"signatures: all of them hold, and every event was admissible where it stands in {registry.name}")
    with step("state"):
        judged = judge(targets.state(identity.number), registry, size)
        if judged is None:
            raise VerificationError("state", "the bundle holds no record_created that counts")
        rebuilt = bundle_of(judged, key_events)
        for name in (*rebuilt, *bundle):
            if _comparable(rebuilt.get(name)) != _comparable(bundle.get(name)):
                raise VerificationError("state", "it does not follow from the events", place=name)
    done.append("state: status, summary and verdicts follow from these events by pith-ledger-merge-1")
    done.append("open: positions, times and that nothing else was appended about this paper are the registry's word")
    return done


def verify_export(folder: Path, root: str | None, progress: Progress) -> list[str]:
    """Verify an exported log entry by entry, then recompute its state digest."""
    with step("canonical form"):
        manifest = decode_object((folder / "manifest.json").read_bytes())
        if manifest.get("export_type") != EXPORT_TYPE:
            raise UsageError("the manifest is none of an export", place=str(folder))
        if (manifest["export_version"], manifest["merge_version"]) != (EXPORT_VERSION, MERGE_VERSION):
            raise UsageError("this export follows other rules than pith-ledger-merge-1", place="merge_version")
        name, stated_digest = registry_subject(manifest["registry"])[14:], manifest["state_digest"]
    with TemporaryDirectory(prefix="pith-verify-") as scratch:
        database = open_sqlite(Path(scratch) / "ledger.db", durable=False)
        try:
            create_log(database, name)
            store = Store(database)
            for page in _pages(folder):
                store.adopt(page)
                progress(len(page))
            size = store.head().size
            with step("size"):
                if size != manifest["size"]:
                    raise VerificationError("size", f"{size} entries, the manifest says {manifest['size']}")
            with step("root"):
                begins_with = store.entry(0).event.id_text
                if begins_with != (root or manifest["root"]):
                    raise VerificationError("root", f"the log begins with {begins_with}")
            digest = replay(store, size, Path(scratch))
        finally:
            database.close()
    if digest != stated_digest:
        raise VerificationError("state", f"replaying gives {digest}, the manifest says {stated_digest}")
    return [
        f"entries: {size} in order, each signature holds and each was admissible where it stands",
        f"root: {begins_with}" + ("" if root else ", by its own word: pin it with --root"),
        f"state: replaying gives {digest}, as stated",
    ]


def _record(document: Mapping[str, Any]) -> Identity:
    with step("number"):
        identity = check_record(document["canonical_record"], document["pith_number"])
        check_digest(document["canonical_sha256"], identity)
    return identity


def _receipt_key(label: str, stated: str, keys: Mapping[str, bytes]) -> bytes:
    known = {name: bytes.fromhex(key) for name, key, _ in PUBLISHED_KEYS} | dict(keys)
    for name, key in known.items():
        if label in (name, key_id(key)):
            check_public_key(key)
            if fingerprint(key) != stated:
                raise VerificationError("key", f"the receipt names fingerprint {stated}, {name} has {fingerprint(key)}")
            return key
    raise VerificationError(
        "key", f"the receipt's key {label} is not known", place="receipt.key_id", cure="give it with --key LABEL=HEX"
    )


def _comparable(part: Any) -> bytes:
    """Return the canonical bytes of a part of a bundle; the order in which events are listed says nothing."""
    if isinstance(part, list) and all(isinstance(item, Mapping) and "position" in item for item in part):
        part = sorted(part, key=lambda item: whole(item["position"]))
    return canonical.encode(part)


def _pages(folder: Path) -> Iterator[list[Entry]]:
    page: list[Entry] = []
    for path in sorted(folder.glob("entries-*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                with step("canonical form", f"{path.name} line {number}"):
                    row = canonical.decode(line, max_bytes=canonical.MAX_EVENT_BYTES + 100)
                    page.append(Entry(whole(row["position"]), whole(row["received_at"]), from_value(row["event"])))
                if len(page) == PAGE:
                    yield page
                    page = []
    if page:
        yield page
