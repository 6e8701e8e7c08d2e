"""The checkpoints of a log in its database: signed, cosigned, published, and never two for one size.

A checkpoint is on the disk before anyone can see it. `sign` makes one for all that the log holds, once a
second way to its root agrees; it is published when it has the cosignatures its registry asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, func, insert, select

from ledger import notes
from ledger.checkpoints import Checkpoint, Opened, issue
from ledger.database import Database
from ledger.errors import LogCorruptedError, NotFoundError, UsageError
from ledger.keys import SecretKey
from ledger.merkle import EMPTY_ROOT, Frontier, tree_root
from ledger.notes import COSIGNATURE, ED25519, NoteSignature, SignedNote, Verifier
from ledger.registry import Registry
from ledger.rows import entries_of_subject, head_of
from ledger.tables import CHECKPOINTS, COSIGNATURES, PUBLICATIONS
from ledger.tree import frontier_of, node_reader
from ledger.tree_check import check_growth

_LAST: Final = (
    select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.signed_at).order_by(CHECKPOINTS.c.size.desc()).limit(1)
)
_INSERT: Final = insert(CHECKPOINTS)
_PUBLISH: Final = insert(PUBLICATIONS)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A stored checkpoint: `note` are the bytes to serve, with every cosignature that was collected."""

    size: int
    root: bytes
    note: bytes
    signed_at: int


class Checkpoints:
    """The checkpoints of one log, in the log's own database."""

    def __init__(self, database: Database, registry: str, label: str = "") -> None:
        self._database = database
        self._registry = registry
        self._label = label

    # --- writing ---------------------------------------------------------------------------

    def sign(self, key: SecretKey, now: int) -> SignedCheckpoint:
        """Sign a checkpoint over the whole log, or return the newest if it is one.

        Args:
            now: microseconds since 1970.

        Raises:
            VerificationError: step `key validity`; this key may not sign for the log.
            LogCorruptedError: a second way leads to another root; nothing is signed.
            UsageError: the log is empty.
        """
        with self._database.read() as connection:
            frontier = frontier_of(connection)
            last = _newest(connection)
            if last and last.size == frontier.size:
                return last
            if frontier.size == 0:
                raise UsageError("an empty log has no checkpoint")
            old = (last.size, last.root) if last else (0, EMPTY_ROOT)
            check_growth(connection, *old, frontier.size, frontier.root())
            # In one view with the frontier: a key that this very log retires must not sign for it.
            registry = Registry(self._registry, self._label)
            for entry in entries_of_subject(connection, registry.subject, 0, frontier.size):
                registry.add(entry)
        checkpoint, note = self._issue(frontier, key, registry, now)
        return self._add(checkpoint, note, now)

    def seal(
        self, connection: Connection, key: SecretKey, registry: Registry, frontier: Frontier, now: int
    ) -> SignedCheckpoint:
        """Sign and publish a checkpoint over what the caller's transaction has appended, in that transaction.

        Only for a log whose checkpoints need no cosignatures.

        Args:
            registry: knows the whole stream, what was just appended included.
            frontier: the edge of the tree over the whole log.
            now: microseconds since 1970.

        Raises:
            VerificationError: step `key validity`; this key may not sign for the log.
            LogCorruptedError: a second way leads to another root.
        """
        last = connection.execute(_LAST).first()
        if last and last.size == frontier.size:
            return _at(connection, last.size)
        now = max(now, head_of(connection).received_at, last.signed_at if last else 0)
        checkpoint, note = self._issue(frontier, key, registry, now)
        old_size, old_root = (last.size, last.root) if last else (0, EMPTY_ROOT)
        check_growth(connection, old_size, old_root, frontier.size, checkpoint.root)
        row = {"size": checkpoint.size, "root": checkpoint.root, "note": note, "signed_at": now}
        connection.execute(_INSERT, row)
        connection.execute(_PUBLISH, {"size": checkpoint.size})
        return SignedCheckpoint(checkpoint.size, checkpoint.root, note, now)

    def _issue(self, frontier: Frontier, key: SecretKey, registry: Registry, now: int) -> tuple[Checkpoint, bytes]:
        checkpoint = Checkpoint(registry.origin, frontier.size, frontier.root())
        note = issue(checkpoint, key).format()
        registry.open_checkpoint(note, known_at=now)
        return checkpoint, note

    def adopt(self, opened: Opened, now: int) -> SignedCheckpoint:
        """Keep and publish a checkpoint of another copy of this log, whose entries are all here.

        Of its signatures those are kept that were verified when it was opened.

        Raises:
            LogCorruptedError: this copy's tree has another root at that size.
        """
        checkpoint = opened.checkpoint
        with self._database.read() as connection:
            if checkpoint.size > frontier_of(connection).size:
                raise UsageError(f"this copy does not reach the checkpoint's {checkpoint.size} entries")
            if tree_root(checkpoint.size, node_reader(connection)) != checkpoint.root:
                raise LogCorruptedError(f"this copy has another root than the checkpoint of {checkpoint.size} entries")
        # Only what was verified is kept: a line that nobody checked could be spoiled, and could never be replaced.
        lines = {(line.name, line.key_hash): line for line in opened.note.signatures}
        verified = {signer: lines[signer.name, signer.key_hash] for signer in opened.signers}
        own = tuple(line for signer, line in verified.items() if signer.kind == ED25519)
        kept = self._add(checkpoint, SignedNote(opened.note.text, own).format(), now)
        if kept.size == checkpoint.size:
            witnesses = {signer: line for signer, line in verified.items() if signer.kind == COSIGNATURE}
            self.add_cosignatures(checkpoint.size, witnesses)
        self.publish(kept.size)
        return kept

    def add_cosignatures(self, size: int, found: Mapping[Verifier, NoteSignature]) -> None:
        """Keep witnesses' signatures, each verified here, under a checkpoint; those it carries are passed over."""
        with self._database.write() as connection:
            note = notes.parse(_at(connection, size).note)
            known = {(signature.name, signature.key_hash) for signature in note.signatures}
            for verifier, signature in found.items():
                verifier.verify(note.text, signature)
                if (verifier.name, verifier.key_hash) not in known:
                    row = {"size": size, "verifier": verifier.format(), "line": signature.format()}
                    connection.execute(insert(COSIGNATURES), row)

    def publish(self, size: int) -> None:
        """Serve the checkpoint of a size from now on, unless a greater one already is."""
        with self._database.write() as connection:
            _at(connection, size)
            newest = connection.execute(select(PUBLICATIONS.c.size).order_by(PUBLICATIONS.c.size.desc())).scalar()
            if newest is None or newest < size:
                connection.execute(insert(PUBLICATIONS), {"size": size})

    def _add(self, checkpoint: Checkpoint, note: bytes, now: int) -> SignedCheckpoint:
        with self._database.write() as connection:
            last = _newest(connection)
            if last and last.size >= checkpoint.size:
                # Another process was faster; what it signed covers at least as much.
                if last.size == checkpoint.size and last.root != checkpoint.root:
                    raise LogCorruptedError(f"two roots were computed for {checkpoint.size} entries")
                return last
            # Clocks are set back at times; a checkpoint is never older than what it covers or follows.
            signed_at = max(now, head_of(connection).received_at, last.signed_at if last else 0)
            row = {"size": checkpoint.size, "root": checkpoint.root, "note": note, "signed_at": signed_at}
            connection.execute(insert(CHECKPOINTS), row)
        return SignedCheckpoint(checkpoint.size, checkpoint.root, note, signed_at)

    # --- reading ---------------------------------------------------------------------------

    def newest(self) -> SignedCheckpoint | None:
        """Return the newest signed checkpoint, published or not."""
        with self._database.read() as connection:
            return _newest(connection)

    def published(self) -> SignedCheckpoint:
        """Return the checkpoint to serve.

        Raises:
            NotFoundError: none was published yet.
        """
        with self._database.read() as connection:
            newest = connection.execute(select(PUBLICATIONS.c.size).order_by(PUBLICATIONS.c.size.desc())).scalar()
            if newest is None:
                raise NotFoundError("no checkpoint was published yet", cure="run `pith checkpoint`")
            return _at(connection, newest)

    def at(self, size: int) -> SignedCheckpoint:
        """Return the checkpoint that was signed at a size.

        Raises:
            NotFoundError: none was.
        """
        with self._database.read() as connection:
            return _at(connection, size)

    def near(self, size: int, most: int) -> list[int]:
        """Return the sizes of the signed checkpoints next below and next above a size, none of them above `most`."""
        with self._database.read() as connection:
            known = CHECKPOINTS.c.size
            below = select(func.max(known)).where(known < size, known <= most)
            above = select(func.min(known)).where(known > size, known <= most)
            found = [connection.execute(statement).scalar() for statement in (below, above)]
        return [near for near in found if near is not None]

    def all(self) -> Iterator[SignedCheckpoint]:
        """Yield every signed checkpoint, smallest first."""
        with self._database.read() as connection:
            sizes = connection.execute(select(CHECKPOINTS.c.size).order_by(CHECKPOINTS.c.size)).scalars().all()
        for size in sizes:
            with self._database.read() as connection:
                found = _at(connection, size)
            yield found

    def cosigned(self) -> dict[str, int]:
        """Return the greatest size that each witness (by its key, name+hash+base64) cosigned."""
        with self._database.read() as connection:
            rows = connection.execute(select(COSIGNATURES).order_by(COSIGNATURES.c.size))
            return {row.verifier: row.size for row in rows}

    def cosigners(self, size: int, among: Iterable[Verifier]) -> list[Verifier]:
        """Return those of some witnesses whose signatures the checkpoint of a size carries.

        Raises:
            VerificationError: step `checkpoint`; one of them does not hold.
        """
        note = notes.parse(self.at(size).note)
        lines = {(signature.name, signature.key_hash): signature for signature in note.signatures}
        found = [verifier for verifier in among if (verifier.name, verifier.key_hash) in lines]
        for verifier in found:
            verifier.verify(note.text, lines[verifier.name, verifier.key_hash])
        return found


def _newest(connection: Connection) -> SignedCheckpoint | None:
    row = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size.desc()).limit(1)).mappings().first()
    return _with_cosignatures(connection, row) if row else None


def _at(connection: Connection, size: int) -> SignedCheckpoint:
    row = connection.execute(select(CHECKPOINTS).where(CHECKPOINTS.c.size == size)).mappings().first()
    if row is None:
        raise NotFoundError(f"no checkpoint of {size} entries was signed")
    return _with_cosignatures(connection, row)


def _with_cosignatures(connection: Connection, row: RowMapping) -> SignedCheckpoint:
    lines = select(COSIGNATURES.c.line).where(COSIGNATURES.c.size == row["size"]).order_by(COSIGNATURES.c.verifier)
    note = row["note"] + "".join(connection.execute(lines).scalars()).encode()
    return SignedCheckpoint(row["size"], row["root"], note, row["signed_at"])
