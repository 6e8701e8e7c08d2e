"""Who may sign for a log: told by its root event and the key events that follow from it, or by one known key.

A *log identity* (`pith-log.json`) is a JSON object with the log's `origin`, `registry`, `root`, current `log_key`
and the `key_events` by which that root vouches for it. Whoever knows the root needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.checkpoints import Opened, open_checkpoint
from ledger.errors import UsageError, VerificationError
from ledger.events import Entry
from ledger.notes import Verifier, parse_verifier
from ledger.proofs.entry_rows import entry_of_row, row_of
from ledger.proofs.sparse import SparseTargets, verify_sparse
from ledger.proofs.steps import step
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.store import Store

IDENTITY_TYPE: Final = "pith_log_identity"
IDENTITY_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Authority:
    """What is known of a log's keys: its registry's stream as far as it concerns them, or a single key.

    `pinned` says whether the caller named the root (or key), or takes the source's own word for it.
    """

    registry: Registry | None
    root: str
    key_events: tuple[Entry, ...]
    key: Verifier | None
    pinned: bool

    @property
    def origin(self) -> str:
        if self.key:
            return self.key.name
        assert self.registry is not None
        return self.registry.origin

    def open(self, note: bytes, *, known_at: int = 0, others: Iterable[Verifier] = ()) -> Opened:
        """Open a checkpoint of this log.

        Args:
            known_at: when the newest entry known to lie under it was received (microseconds).
            others: witnesses' keys, checked where they signed.

        Raises:
            VerificationError: step `checkpoint` or `key validity`.
        """
        if self.key:
            return open_checkpoint(note, self.key.name, self.key, others)
        assert self.registry is not None
        return self.registry.open_checkpoint(note, known_at=known_at, others=others)

    def facts(self) -> dict[str, Any]:
        """Return what a file must carry so that others can follow: `root` and `key_events`, or `log_key`."""
        if self.key:
            return {"origin": self.origin, "log_key": self.key.format()}
        assert self.registry is not None
        return {
            "origin": self.origin,
            "registry": self.registry.name,
            "root": self.root,
            "key_events": [row_of(entry) for entry in self.key_events],
        }

    def sentence(self) -> str:
        """Say on what the trust in the log's keys rests."""
        if self.key:
            by = "as you asked" if self.pinned else "by the file's own word: pin it with --log-key"
            return f"log key: {self.key.format()}, {by}"
        by = "as you asked" if self.pinned else "by its own word: pin it with --root"
        of = f", log {self.origin}" if self.registry and self.registry.label else ""
        return f"root: {self.root}, {by}{of}"


def identity(store: Store, stream: Stream | None = None) -> dict[str, Any]:
    """Write the identity of a log: what its stream, as far as it is published, says about its log keys.

    Raises:
        NotFoundError: no checkpoint was published.
    """
    published = store.checkpoints.published()
    stream = stream or Stream.read(store, published.size)
    registry = stream.registry
    events = stream.relied_on([], registry.keys.of_role("log", published.size), published.size)
    opened = registry.open_checkpoint(published.note, before=published.size)
    return {
        "identity_type": IDENTITY_TYPE,
        "identity_version": IDENTITY_VERSION,
        "origin": registry.origin,
        "registry": registry.name,
        "root": stream.entries[0].event.id_text,
        "log_key": opened.signers[0].format(),
        "key_events": [row_of(entry) for entry in events],
    }


def authority_of(facts: Mapping[str, Any], root: str | None = None, log_key: Verifier | None = None) -> Authority:
    """Read who may sign for a log from a file's `origin`, `registry`, `root` and `key_events`, or its `log_key`.

    Args:
        root: the root event id known from elsewhere; None takes the file's own word.
        log_key: the log's key known from elsewhere; decides instead of a root.

    Raises:
        VerificationError: the step that failed (canonical form, root, signature, rule, …).
    """
    if log_key is not None and root is None:
        return Authority(None, "", (), log_key, pinned=True)
    if "key_events" not in facts and root is None:
        with step("canonical form"):
            return Authority(None, "", (), _key_in_file(facts["log_key"]), pinned=False)
    with step("canonical form"):
        registry = Registry.of_origin(facts["registry"], facts["origin"])
        entries = sorted((entry_of_row(row) for row in facts["key_events"]), key=lambda entry: entry.position)
    return authority_of_events(registry, entries, root, facts.get("root"))


def _key_in_file(text: str) -> Verifier:
    try:
        return parse_verifier(text)
    except UsageError as error:
        raise VerificationError("canonical form", error.message, place="log_key", cure=error.cure) from error


def authority_of_events(
    registry: Registry, entries: Sequence[Entry], root: str | None, stated: object = None
) -> Authority:
    """Verify a registry's key events, in order of position, and take them into `registry`.

    Raises:
        VerificationError: step `root` where they begin with another event; else what `verify_sparse` raises.
    """
    begins_with = entries[0].event.id_text if entries and entries[0].position == 0 else "no root at all"
    if begins_with != (root or stated):
        raise VerificationError("root", f"the log begins with {begins_with}, not {root or stated}")
    for entry in entries:
        if entry.event.subject != registry.subject:
            raise VerificationError("canonical form", f"position {entry.position} is no event of {registry.name}")
    verify_sparse(entries, registry, SparseTargets())
    return Authority(registry, begins_with, tuple(entries), None, pinned=root is not None)
