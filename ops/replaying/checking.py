"""A log gone over once: its ranges done by an engine, put together in order, and held against what was signed.

What each mode checks, and what it leaves open, it says itself (`Course.sentences`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from ledger.checkpoint_store import SignedCheckpoint
from ledger.database import Database
from ledger.errors import NotFoundError, VerificationError
from ledger.joined import Joined
from ledger.merkle import tree_root
from ledger.proofs.authority import authority_of_events
from ledger.proofs.sparse import SparseTargets
from ledger.ranges import TILES, Checks, known_below, ranges
from ledger.registry import Registry
from ledger.rows import entries_of_subject
from ledger.store import Store
from ledger.tree import frontier_of, node_reader
from ops.anchored import check_anchored
from ops.replaying.engines import Engine
from ops.replaying.work import Done, Job, Wanted

Advance = Callable[[int], None]


class Mode(StrEnum):
    """How far a replay trusts the log that it reads."""

    all = "all"
    signers = "signers"
    checkpoint = "checkpoint"
    none = "none"


SUMMARY: Final = {
    Mode.all: "every signature and rule checked",
    Mode.signers: "every signature but the registry's own checked, all entries under its signed checkpoint",
    Mode.checkpoint: "no more checked than that all entries are under the signed checkpoint",
    Mode.none: "nothing checked",
}

_CHECKS: Final[dict[Mode, Checks]] = {
    Mode.all: "all",
    Mode.signers: "signers",
    Mode.checkpoint: "nothing",
    Mode.none: "nothing",
}
_BEHIND: Final = "run `pith checkpoint` first, or verify all"


@dataclass(slots=True)
class Course:
    """One replay of the first `stop` entries of a log, and what it found to hold.

    Args:
        root: the event id that the log must begin with, known from elsewhere; None takes the log's word.
        tiles: how many tiles each range has.
    """

    log: Database
    store: Store
    mode: Mode
    stop: int
    root: str | None = None
    tiles: int = TILES
    sentences: list[str] = field(default_factory=list)
    memory_mb: dict[int, float] = field(default_factory=dict)
    """The most memory that each process has held which did some of it."""

    def run(
        self, engine: Engine, wanted: Wanted, advance: Advance = lambda _: None, projections: tuple[str, ...] = ()
    ) -> Iterator[Done]:
        """Yield what became of each range, in order; each holds as far as a range can tell.

        Whether the whole holds is known only when this ends without an error: nothing may be believed before.

        Raises:
            VerificationError: the first check that failed, with its step and place.
            LogCorruptedError: an entry is damaged or missing.
            ProjectionError: a paper cannot be projected.
            NotFoundError: no checkpoint was signed that the mode needs.
        """
        begins_with = self.store.entry(0).event.id_text if self.stop else ""
        if self.root not in (None, begins_with):
            raise VerificationError("root", f"the log begins with {begins_with or 'nothing'}")
        registry = Registry(self.store.registry_name, self.store.label)
        signed, facts = self._opened(registry, begins_with)
        if self.mode is Mode.all:
            self.store.check_unique()
        covered = signed.size if signed else 0
        stop = max(self.stop, covered)
        sizes = tuple(sorted({self.stop, covered}))
        name = self.store.registry_name, self.store.label
        checks = _CHECKS[self.mode]
        # Where nothing is checked at all, the fold refuses by itself what breaks a rule, as a registry's own does.
        admitted = self.mode is not Mode.none
        job = Job(secrets.token_hex(8), name, checks, self.stop, facts, sizes, wanted, projections, admitted)
        joined, late = Joined(sizes), None
        for done in engine.run(job, ranges(stop, self.tiles)):
            joined.add(done.verified)
            late = late or done.unfolded
            self.memory_mb |= dict([done.process])
            advance(min(done.verified.range.stop, self.stop) - min(done.verified.range.start, self.stop))
            yield done
        self._conclude(registry, facts, signed, joined, begins_with)
        if late is not None:
            raise late.error()

    # --- before ----------------------------------------------------------------------------

    def _opened(self, registry: Registry, begins_with: str) -> tuple[SignedCheckpoint | None, int]:
        """Learn what the registry's stream says; return the checkpoint to hold the entries against, and up to where
        the stream is believed.
        """
        match self.mode:
            case Mode.none:
                return None, self.stop
            case Mode.all:
                with self.log.read() as connection:
                    stream = entries_of_subject(connection, registry.subject, 0, self.stop)
                    facts = known_below(stream, self.stop, registry, SparseTargets())
                sizes = self.store.checkpoints.near(self.stop + 1, self.stop)
                return self.store.checkpoints.at(sizes[0]) if sizes else None, facts
            case _:
                signed = self.store.checkpoints.newest()
                if signed is None:
                    raise NotFoundError("no checkpoint was signed yet", cure="run `pith checkpoint`, or verify all")
                if signed.size < self.stop:
                    raise VerificationError(
                        "checkpoint", f"it covers {signed.size} of {self.stop} entries", cure=_BEHIND
                    )
                # Whose word the checkpoint is must not rest on what the checkpoint alone vouches for.
                entries = self.store.of_registry(0, signed.size)
                root = begins_with or self.store.entry(0).event.id_text
                authority_of_events(registry, entries, root)
                return signed, self.stop

    # --- after -----------------------------------------------------------------------------

    def _conclude(
        self, registry: Registry, facts: int, signed: SignedCheckpoint | None, joined: Joined, begins_with: str
    ) -> None:
        if self.mode is Mode.none:
            self.sentences.append("open: nothing was checked: this is what the log says, whoever wrote it")
            return
        if facts < self.stop:
            # The range in which it stands should have said so, and more exactly.
            raise VerificationError("rule", "no log may hold this entry", place=f"position {facts}")
        by_its_word = "" if self.root else ", by its own word: pin it with --root"
        if self.mode is Mode.all:
            self._check_tree(joined)
            self.sentences += [
                f"entries: {self.stop} in order, each signature holds and each was admissible where it stands",
                f"tree: its tiles and its head lead to the root {joined.frontier(self.stop).root().hex()}",
            ]
        self.sentences.append(f"root: {begins_with}{by_its_word}")
        if signed is not None:
            _check_signed(registry, signed, joined)
            self.sentences.append(
                f"checkpoint: the log's key signed the root that its first {signed.size} entries have"
            )
        match self.mode:
            case Mode.all:
                with self.log.read() as connection:
                    stream = entries_of_subject(connection, registry.subject, 0, self.stop)
                    anchored = check_anchored(registry, stream, self.store.tree.root)
                if anchored:
                    self.sentences.append(f"anchors: {anchored} anchored checkpoints are earlier states of this log")
                covered = signed.size if signed else 0
                if covered < self.stop:
                    past = f"the {self.stop - covered} entries past the newest checkpoint"
                    self.sentences.append(f"open: {past if signed else 'all entries'} are only the registry's word")
            case Mode.signers:
                self.sentences += [
                    f"signatures: {joined.signatures} by others than the registry hold",
                    "open: the registry's own signatures, and the rules that each entry was admitted by, were not"
                    " checked one by one: the checkpoint is its word for them",
                ]
            case Mode.checkpoint:
                self.sentences.append(
                    "open: no signature and no rule was checked, but for the registry's own keys and policies: the"
                    " checkpoint is its word for all entries under it"
                )

    def _check_tree(self, joined: Joined) -> None:
        frontier = joined.frontier(self.stop)
        with self.log.read() as connection:
            _check_root(connection, self.stop, frontier.root())
            head = frontier_of(connection)
            if head.size == self.stop and head.to_bytes() != frontier.to_bytes():
                message = f"the head keeps another right edge than {self.stop} entries have"
                raise VerificationError("head", message, place="log_head.frontier")


def _check_root(connection: Connection, size: int, root: bytes) -> None:
    found = tree_root(size, node_reader(connection))
    if found != root:
        message = f"the tiles lead to the root {found.hex()} for {size} entries, these have {root.hex()}"
        raise VerificationError("tree", message, place="tiles", cure="run `pith audit`, which names the tile")


def _check_signed(registry: Registry, signed: SignedCheckpoint, joined: Joined) -> None:
    """Hold the entries against a checkpoint; who may sign it is decided by what stood before."""
    stated = registry.open_checkpoint(signed.note, before=signed.size).checkpoint
    if stated.size != signed.size:
        raise VerificationError("checkpoint", f"its note states {stated.size} entries, not {signed.size}")
    root = joined.frontier(signed.size).root()
    if root != stated.root:
        raise VerificationError("checkpoint", f"the entries have the root {root.hex()}, it says {stated.root.hex()}")
