"""Checking entries of a log as if on their first day: order, time, signatures and every rule of admission.

The same checks serve a trustless replay, an adopted copy and an exported folder. Signatures are by far
the dearest part and need no state, so they can be spread over threads (PyNaCl releases the interpreter).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import KeyNotValidError, SubmissionError, VerificationError
from ledger.events import Entry
from ledger.registry import Registry
from ledger.rules import Targets
from ledger.signatures import Signature, signatures_of
from ledger.verdicts import check

CHUNK: Final = 64


class Growing(Targets, Protocol):
    """Targets that learn of an entry once it was checked."""

    def add(self, entry: Entry) -> None:
        """Take in an entry that later ones may refer to."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log goes: `size` entries, the last received at `received_at` (0 when empty)."""

    size: int
    received_at: int


def verify_entries(
    entries: Sequence[Entry], registry: Registry, targets: Growing, head: Head, workers: Executor | None = None
) -> Head:
    """Check entries that follow a head, and take them into the registry and the targets.

    Args:
        workers: checks signatures beside the caller's thread; None checks them on it.

    Raises:
        VerificationError: the step (position, time, key validity, rule, signature) and the entry that failed.
    """
    signatures: list[tuple[Entry, Signature]] = []
    seen: set[bytes] = set()
    for entry in entries:
        if entry.event.event_id in seen:
            raise _failed("position", entry, "the same event stands at an earlier position")
        seen.add(entry.event.event_id)
        if entry.position != head.size:
            raise VerificationError("position", f"expected {head.size}, found {entry.position}")
        if entry.received_at < head.received_at:
            raise _failed("time", entry, "it was received before its predecessor")
        signatures += _signatures(entry, registry)
        try:
            check(entry, registry, targets)
        except KeyNotValidError as error:
            raise _failed("key validity", entry, str(error)) from error
        except SubmissionError as error:
            raise _failed("rule", entry, str(error)) from error
        registry.add(entry)
        targets.add(entry)
        head = Head(entry.position + 1, entry.received_at)
    _verify_all(signatures, workers)
    return head


def _signatures(entry: Entry, registry: Registry) -> list[tuple[Entry, Signature]]:
    try:
        return [(entry, signature) for signature in signatures_of(entry.event, registry.keys, entry.position)]
    except SubmissionError as error:
        raise _failed("key validity", entry, str(error)) from error


def _verify_all(signatures: Sequence[tuple[Entry, Signature]], workers: Executor | None) -> None:
    chunks = [signatures[at : at + CHUNK] for at in range(0, len(signatures), CHUNK)]
    for _ in workers.map(_verify, chunks) if workers else map(_verify, chunks):
        pass


def _verify(signatures: Sequence[tuple[Entry, Signature]]) -> None:
    for entry, signature in signatures:
        try:
            signature.verify()
        except SubmissionError as error:
            raise _failed("signature", entry, str(error)) from error


def _failed(step: str, entry: Entry, reason: str) -> VerificationError:
    return VerificationError(step, reason, place=f"position {entry.position}, {entry.event.id_text}", cure="")
