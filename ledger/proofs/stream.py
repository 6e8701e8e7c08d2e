"""A registry's own stream as proofs need it: what it says, and which of its entries a verdict relies on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.events import Entry
from ledger.keyring import NOW, Registration
from ledger.keys import key_id
from ledger.payloads import IdentityEvidence, KeyRegistered, KeyRevoked, KeyRotated
from ledger.registry import Registry
from ledger.store import Store


@dataclass(slots=True)
class Stream:
    """The entries of a registry's stream, indexed by the keys they are about; `add` takes them in order of position."""

    registry: Registry
    entries: list[Entry] = field(default_factory=list)
    _always: list[Entry] = field(default_factory=list)
    _about: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _keys: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, store: Store, size: int) -> Stream:
        """Read the stream as it was when the log had `size` entries."""
        found = cls(Registry(store.registry_name, store.label))
        found.extend(store.of_registry(0, size))
        return found

    def extend(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.registry.add(entry)
            self.entries.append(entry)
            if entry.position == 0 or entry.event.event_type == "policy_set":
                self._always.append(entry)
            for key in _keys_of(entry):
                self._about[key].append(entry)
                self._keys[key[:32]].add(key)

    def grown(self, entries: Sequence[Entry]) -> Stream:
        """Return a stream with further entries; this one stays as it is for whoever reads it."""
        about: dict[str, list[Entry]] = defaultdict(list)
        about.update({key: list(known) for key, known in self._about.items()})
        keys: dict[str, set[str]] = defaultdict(set)
        keys.update({start: set(known) for start, known in self._keys.items()})
        found = Stream(self.registry.copy(), list(self.entries), list(self._always), about, keys)
        found.extend(entries)
        return found

    def relied_on(
        self, entries: Iterable[Entry], others: Iterable[Registration] = (), before: int = NOW
    ) -> list[Entry]:
        """Return the entries below a position that verdicts about some entries depend on.

        These are the root, every policy, and all events about the keys that the entries speak of or that signed
        anything among these, receipts and checkpoints included; in order of position.

        Args:
            others: further keys that matter, such as the log's.
        """
        found: dict[int, Entry] = {}
        fresh = {other.key_id for other in others}
        for entry in entries:
            fresh |= {entry.event.signer.key_id, *_keys_of(entry)}
            receipt = entry.event.value["payload"].get("pith_receipt")
            if isinstance(receipt, Mapping):
                fresh |= self._keys.get(str(receipt.get("public_key_fingerprint")), set())
        asked: set[str] = set()
        waiting = [entry for entry in self._always if entry.position < before]
        while fresh or waiting:
            for key in fresh:
                waiting += [entry for entry in self._about.get(key, ()) if entry.position < before]
            asked |= fresh
            fresh = set()
            for entry in waiting:
                if entry.position not in found:
                    found[entry.position] = entry
                    fresh |= {entry.event.signer.key_id, *_keys_of(entry)} - asked
            waiting = []
        return [found[position] for position in sorted(found)]


def _keys_of(entry: Entry) -> tuple[str, ...]:
    """Return the keys that an entry of the registry's stream is about."""
    match entry.event.payload:
        case KeyRegistered(statement=statement):
            return (key_id(bytes.fromhex(statement.public_key)),)
        case KeyRotated(rotation=rotation):
            return rotation.old_key_id, key_id(bytes.fromhex(rotation.statement.public_key))
        case KeyRevoked(key_id=about) | IdentityEvidence(key_id=str() as about):
            return (about,)
    return ()
