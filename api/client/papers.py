"""A paper as its verified bundle shows it: nothing here is the registry's word but what its log proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.errors import VerificationError
from ledger.log_keys import stated_label
from ledger.proofs.entry_rows import entry_of_row
from ledger.record_state import fold
from ledger.registry import Registry
from projections.document import document
from projections.judged import Judged, judge


def judged_paper(bundle: Mapping[str, Any]) -> Judged:
    """Return a paper's entries with what became of each, up to its bundle's checkpoint.

    Args:
        bundle: one that `verify_bundle` accepted.

    Raises:
        VerificationError: step `state`; it holds no record.
    """
    name = bundle["registry"]
    registry = Registry.named(name, stated_label(bundle["checkpoint"].encode(), name))
    entries = [entry_of_row(row) for row in (*bundle["key_events"], *bundle["events"])]
    for entry in entries:
        registry.add(entry)
    found = judge(fold(bundle["pith_number"], entries), registry, bundle["log_size"])
    if found is None:
        raise VerificationError("state", "the bundle holds no record that counts", cure="")
    return found


def proven_record(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return a paper's record document, computed from its verified bundle; what names a server stays null in it."""
    judged = judged_paper(bundle)
    found = document(judged, anchored_size=judged.registry.anchored_size(judged.before))
    # Parts of it are text that was never read; a program wants values.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return plain
