"""Replacing a registry's own key by a new one: both sign the change, the log keeps it, the old file is retired."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ledger.appending import Submission
from ledger.errors import KeyNotValidError, UsageError
from ledger.keys import Role, SecretKey
from ledger.signing import HeldKey, Signatory
from ops.home import OWN_ROLES, Home
from ops.keyfiles import read_key, write_key
from ops.shared_logs import share


@dataclass(frozen=True, slots=True)
class Rotated:
    """The key ids before and after, the new public key, and where the old key's file lies now."""

    old: str
    new: str
    public_key: bytes
    retired: Path


def rotate(home: Home, role: Role) -> Rotated:
    """Make a new key of a role, append the rotation, and put the new key in the old one's place.

    From the next position on the old key signs nothing. Broken off at any step, running it again goes on there.

    Raises:
        UsageError: not one of the registry's own roles, its key is not here, or this is not its first log.
        SubmissionError: the log does not accept the rotation.
        LedgerError: another log of the registry has not got it; running it again goes on there.
    """
    if role not in OWN_ROLES:
        raise UsageError(f"{role!r} is no role of the registry's own keys", cure=f"use one of {', '.join(OWN_ROLES)}")
    if home.store.label:
        cure = "set PITH_DATA to the folder of the registry's first log"
        raise UsageError("keys are replaced in the registry's first log", place=str(home.settings.data), cure=cure)
    path, waiting = home.settings.keys / f"{role}.json", home.settings.keys / f"{role}.next.json"
    current = home.signatory(role)
    if not waiting.exists():
        file = current.held
        write_key(waiting, HeldKey(SecretKey(home.random(32)), file.registry, file.signer_id, role))
    successor = Signatory(read_key(waiting), home.clock, home.random)
    registry, now = home.store.registry(), home.clock()
    if registry.keys.find(successor.key.key_id) is None:
        try:
            registry.keys.usable(current.key.key_id, (role,), home.store.head().size, now)
            kind, payload = "key_rotated", current.rotation(successor)
        except KeyNotValidError:
            # A key that was revoked has no say in who follows it: the event key vouches for a new one.
            kind, payload = "key_registered", successor.statement()
        event, _ = home.signatory("event").sign(kind, "registry", payload)
        home.append([Submission(event)])
    # The other logs use the same key files, and none of them may take a signature by a key that it does not know.
    for error in share(home).values():
        raise error
    retired = path.with_name(f"{role}.retired-{current.key.key_id[:16]}.json")
    if not retired.exists():
        os.link(path, retired)
    waiting.replace(path)
    return Rotated(current.key.key_id, successor.key.key_id, successor.key.public_key, retired)
