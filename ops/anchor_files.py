"""The outside proofs of a log as ordinary files, for the programs that made their formats known.

    anchors/README                        what these files are, and the commands that judge them
    anchors/roots.pem                     the roots of timestamp authorities that policy accepts
    anchors/checkpoint-SIZE/checkpoint    the signed note over the first SIZE entries, byte for byte as it was stamped
    anchors/checkpoint-SIZE/checkpoint.HOST.ots or .tsr
    anchors/SUFFIX/record.json            the canonical record of a paper, whose SHA-256 was stamped
    anchors/SUFFIX/record.HOST.ots or .tsr

Everything follows from the entries of the log alone, so that the same log gives the same files, and whoever has the log
can tell which file is none of it. Proofs stand here that count: confirmed ones, and promises that were not followed up;
without any there is no such folder. Where several are of one host they are numbered, in the order of the log.
"""

from __future__ import annotations

import re
import ssl
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import UnsetType

from ledger import canonical
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.payloads import TimestampAnchor
from ledger.record_state import fold
from ledger.registry import Registry, proof_of
from ledger.store import Store
from projections.judged import judge

FOLDER: Final = "anchors"
README_PATH: Final = f"{FOLDER}/README"
MAX_README: Final = 1 << 16
PAGE: Final = 4_096
SUBJECTS: Final = 200
MAX_HOST: Final = 80

Files = Iterator[tuple[str, bytes]]
"""Names below the export's folder, each once, and contents."""

_ENDINGS: Final = {"opentimestamps": "ots", "rfc3161": "tsr"}
_PROOFS: Final = tuple(f".{ending}" for ending in _ENDINGS.values())
_README: Final = """\
Outside proofs of the log beside this folder, as ordinary files.

checkpoint-SIZE/checkpoint is the log's signed checkpoint over its first SIZE entries; SUFFIX/record.json is the
canonical record of the paper whose Pith Number ends in SUFFIX. Beside each stand the proofs that it was there by a
certain time, one file a proof, named after the host of the service that gave it. Go into one of these folders.

*.ots are OpenTimestamps proofs. They lead to a block of Bitcoin, which a node of your own knows, or are still promises
of a calendar (`ots upgrade` asks it for what became of them). With the program of opentimestamps-client:

    ots verify -f checkpoint checkpoint.HOST.ots
    ots verify -f record.json record.HOST.ots

*.tsr are replies of timestamp authorities (RFC 3161). With OpenSSL:

    openssl ts -verify -in checkpoint.HOST.tsr -data checkpoint -CAfile ../roots.pem
    openssl ts -verify -in record.HOST.tsr -data record.json -CAfile ../roots.pem

roots.pem holds the roots that this registry's policy accepts. That they are the authorities' own is its word, until you
have them from the authorities. To judge a reply as of its own time, after a certificate of its chain has ended, add
`-attime` and the seconds since 1970 of that time, which `openssl ts -reply -in FILE -text` prints.

A proof says by when something was there, never since when, and not that it is true. That a checkpoint is this log's,
and that these files are what the log says, `pith verify` tells of the whole export.
"""


def anchor_files(store: Store, size: int) -> Files:
    """Yield every outside proof among the first entries of a log, and what it is of, as files."""
    stream = store.of_registry(0, size)
    registry = Registry(store.registry_name, store.label)
    for entry in stream:
        registry.add(entry)
    some = False
    for found in (_of_checkpoints(stream, registry, size), _of_records(store, registry, size)):
        for name, content in found:
            some = True
            yield name, content
    if not some:
        return
    yield README_PATH, _README.encode()
    if roots := registry.policy(size).timestamp_roots:
        yield f"{FOLDER}/roots.pem", "".join(ssl.DER_cert_to_PEM_cert(b64decode(root)) for root in roots).encode()


def write_anchor_files(store: Store, folder: Path, size: int) -> None:
    """Write them below an export's folder."""
    for name, content in anchor_files(store, size):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check_anchor_files(store: Store, folder: Path, size: int) -> list[str]:
    """Check that such files of an export, as far as they are there, are what a log says; return what holds, in words.

    Raises:
        VerificationError: step `anchor files`; one of them is another, or none of this log's.
    """
    alien = {path for path in (folder / FOLDER).rglob("*") if path.is_symlink() or not path.is_dir()}
    count, done = 0, list[str]()
    for name, content in anchor_files(store, size):
        path = folder / name
        if path not in alien and not path.is_dir():
            continue
        alien.discard(path)
        # What a link leads to is no part of the export: nobody else would be given it.
        longest = max(len(content), MAX_README) if name == README_PATH else len(content)
        if path.is_symlink() or not path.is_file() or path.stat().st_size > longest:
            raise VerificationError("anchor files", "no file, or longer than the log says", place=str(path))
        if path.read_bytes() != content:
            if name != README_PATH:
                raise VerificationError("anchor files", "the log says otherwise", place=str(path))
            # It proves nothing, and another version may say it in other words.
            done.append(f"open: what {README_PATH} says is not what this version writes: trust no command in it")
        count += name.endswith(_PROOFS)
    if alien:
        raise VerificationError("anchor files", "the log holds no such proof", place=str(min(alien)))
    if count:
        stand = "1 outside proof stands" if count == 1 else f"{count} outside proofs stand"
        done.insert(0, f"anchor files: {stand} in files of their own, as the log says")
    return done


def _of_checkpoints(stream: Sequence[Entry], registry: Registry, size: int) -> Files:
    folders: dict[str, _Names] = {}
    notes: dict[str, str] = {}
    for entry in _standing(entry for entry in stream if _counts(entry, registry, size)):
        anchored = entry.event.payload.anchored
        # Only of a note that stands in the event is it known what was stamped.
        if not isinstance(anchored.note, str) or sha256(anchored.note.encode()).hexdigest() != anchored.sha256:
            continue
        folder, number = f"{FOLDER}/checkpoint-{anchored.tree_size}", 1
        # Witnesses may have cosigned between two anchors of one size: another note, in a folder of its own.
        while notes.setdefault(folder, anchored.sha256) != anchored.sha256:
            number += 1
            folder = f"{FOLDER}/checkpoint-{anchored.tree_size}_{number}"
        if folder not in folders:
            folders[folder] = _Names("checkpoint")
            yield f"{folder}/checkpoint", anchored.note.encode()
        yield f"{folder}/{folders[folder].of(entry.event.payload)}", proof_of(entry.event.payload)


def _counts(entry: Entry, registry: Registry, size: int) -> bool:
    event = entry.event
    return event.event_type == "timestamp_anchor" and not registry.keys.is_cut(
        event.signer.key_id, entry.position, entry.received_at, size
    )


def _of_records(store: Store, registry: Registry, size: int) -> Files:
    subjects: set[str] = set()
    for start in range(0, size, PAGE):
        found = store.of_types(["timestamp_anchor"], start, min(start + PAGE, size))
        subjects |= {entry.event.subject for entry in found if entry.event.subject != registry.subject}
    ordered = sorted(subjects, key=lambda subject: subject[10:])
    for at in range(0, len(ordered), SUBJECTS):
        entries = store.of_subjects(ordered[at : at + SUBJECTS], size)
        for subject in ordered[at : at + SUBJECTS]:
            judged = judge(fold(subject, entries[subject]), registry, size)
            if judged is None or not (standing := _standing(judged.counted("timestamp_anchor"))):
                continue
            folder, names = f"{FOLDER}/{judged.suffix}", _Names("record")
            yield f"{folder}/record.json", canonical.encode_decoded(judged.record.event.payload.canonical_record)
            for entry in standing:
                yield f"{folder}/{names.of(entry.event.payload)}", proof_of(entry.event.payload)


def _standing(anchors: Iterable[Entry]) -> list[Entry]:
    """Return the anchors that hold a proof or still promise one: not those that their own signer has followed up."""
    found = list(anchors)
    followed = {(entry.event.payload.upgrades, _who(entry)) for entry in found}
    return [
        entry
        for entry in found
        if entry.event.payload.status == "confirmed"
        or (entry.event.payload.status == "pending" and (entry.event.id_text, _who(entry)) not in followed)
    ]


def _who(entry: Entry) -> tuple[str, str]:
    signer = entry.event.signer
    return signer.signer_id, "" if isinstance(signer.on_behalf_of, UnsetType) else signer.on_behalf_of.subject


class _Names:
    """Names of the proofs in one folder; safe on every file system, whatever address a service gave."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._given: set[str] = set()

    def of(self, anchor: TimestampAnchor) -> str:
        """Return the name of the next proof."""
        host, ending = _host(anchor.service), _ENDINGS[anchor.method]
        name, number = f"{self._stem}.{host}.{ending}", 1
        while name in self._given:
            number += 1
            name = f"{self._stem}.{host}-{number}.{ending}"
        self._given.add(name)
        return name


def _host(service: str) -> str:
    try:
        host = urlsplit(service).hostname or ""
    except ValueError:
        host = ""
    return re.sub(r"[^a-z0-9-]+", ".", host.lower())[:MAX_HOST].strip(".-") or "service"
