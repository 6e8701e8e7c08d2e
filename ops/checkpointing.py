"""Making a registry's next checkpoint: signed, cosigned by the witnesses its policy asks for, then published."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ledger import checkpoints, notes, quorum
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import LogCorruptedError, UsageError, VerificationError
from ledger.notes import NoteSignature, Verifier
from ledger.quorum import Policy
from ops.home import Home
from ops.signed_files import read_note
from ops.whole_files import alone, write_whole


@dataclass(frozen=True, slots=True)
class Made:
    """A checkpoint; `published` says whether it is served, `missing` why not, `refusals` what witnesses answered."""

    checkpoint: SignedCheckpoint
    published: bool
    missing: str = ""
    refusals: dict[str, str] = field(default_factory=dict)


def checkpoint(home: Home) -> Made:
    """Sign a checkpoint over all the log holds, collect cosignatures by the policy, publish it if they suffice.

    Run again, it goes on where it stopped: the same checkpoint is kept until a quorum has cosigned it.

    Raises:
        UsageError: this folder is a mirror or has no log key, or the policy cannot be read.
        VerificationError: step `key validity`; the key here may not sign for the log.
        LogCorruptedError: a second way leads to another root, or the log is not the one that was signed before,
            as after restoring an old backup; nothing is signed.
    """
    home.check_own()
    store = home.store
    key = home.signatory("log").key
    with _alone(home):
        before = _signed_before(home)
        signed = store.checkpoints.sign(key, home.clock())
        if signed.size > before:
            write_whole(home.settings.signed_path, signed.note)
    if home.settings.witness_policy is None:
        store.checkpoints.publish(signed.size)
        return Made(signed, published=True)
    policy = read_policy(home.settings.witness_policy)
    refusals: dict[str, str] = {}
    if missing := _missing(home, policy, signed.size):
        refusals = _collect(home, policy, signed)
        missing = _missing(home, policy, signed.size)
    if missing:
        return Made(signed, published=False, missing=missing, refusals=refusals)
    store.checkpoints.publish(signed.size)
    return Made(store.checkpoints.published(), published=True, refusals=refusals)


def check_continues(home: Home) -> None:
    """Refuse a log that is no continuation of what was signed before; raises LogCorruptedError."""
    with _alone(home):
        _signed_before(home)


def remember(home: Home, signed: SignedCheckpoint) -> None:
    """Note a checkpoint that the log's key signed while it appended, unless a greater one is noted already.

    Raises:
        LogCorruptedError: the log is not the one that was signed before.
    """
    with _alone(home):
        if signed.size > _signed_before(home):
            write_whole(home.settings.signed_path, signed.note)


def noted(home: Home) -> int:
    """Return how many entries the checkpoint covers that was written down here; 0 where none was."""
    path = home.settings.signed_path
    return checkpoints.parse(notes.parse(read_note(path)).text).size if path.exists() else 0


def newest(home: Home) -> SignedCheckpoint:
    """Return the published checkpoint, after making a new one where that needs nobody else.

    Witnesses are asked by `pith checkpoint` alone, so that no other command waits for them.

    Raises:
        NotFoundError: none is published yet.
    """
    if home.settings.witness_policy is None and (home.settings.keys / "log.json").exists():
        return checkpoint(home).checkpoint
    return home.store.checkpoints.published()


def read_policy(path: Path) -> Policy:
    """Read a trust policy file (C2SP tlog-policy).

    Raises:
        UsageError: it cannot be read, with the line that is wrong.
    """
    if path.exists() and not path.is_file():
        raise UsageError("the witness policy is no file", place=str(path))
    try:
        with path.open("rb") as file:
            return quorum.parse(file.read(quorum.MAX_POLICY_BYTES + 1))
    except OSError as error:
        raise UsageError(f"the witness policy cannot be read: {error.strerror}", place=str(path)) from None
    except UsageError as error:
        error.place = f"{path}, {error.place}"
        raise


def _alone(home: Home) -> AbstractContextManager[None]:
    return alone(home.settings.signed_path.with_suffix(".lock"))


def _signed_before(home: Home) -> int:
    """Return the greatest size that was signed before, and refuse a log that is no continuation of that.

    Signing for it would show its readers a fork.
    """
    path = home.settings.signed_path
    if not path.exists():
        return 0
    last, store = checkpoints.parse(notes.parse(read_note(path)).text), home.store
    size = store.head().size
    if last.size > size or store.tree.root(last.size) != last.root:
        raise LogCorruptedError(
            f"a checkpoint of {last.size} entries was signed before, and this log of {size} is no continuation of it",
            place=str(path),
            cure="restore the newest backup, or what a mirror holds (see Operations in the README)",
        )
    return last.size


def _missing(home: Home, policy: Policy, size: int) -> str:
    try:
        policy.check(home.store.checkpoints.cosigners(size, [witness.key for witness in policy.witnesses]))
    except VerificationError as error:
        return error.message
    return ""


def _collect(home: Home, policy: Policy, signed: SignedCheckpoint) -> dict[str, str]:
    """Ask the witnesses and keep what they signed; return what the others answered, by name."""
    # Only here, since the HTTP client takes a third of a second to load and most commands ask nobody.
    import httpx

    from ops.cosigning import collect

    store = home.store
    known = store.checkpoints.cosigned()
    sizes = {witness.name: known.get(witness.key.format(), 0) for witness in policy.witnesses}
    with httpx.Client() as client:
        collected = collect(signed.note, policy, sizes, store.tree.consistency_proof, client)
    found: dict[Verifier, NoteSignature] = {
        witness.key: collected.signatures[witness.name]
        for witness in policy.witnesses
        if witness.name in collected.signatures
    }
    store.checkpoints.add_cosignatures(signed.size, found)
    return collected.errors
