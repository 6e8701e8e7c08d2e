"""Following a log from outside: is what it signs today a continuation of all that it signed before?

Nothing is believed. A checkpoint must be signed by a key that the log's root vouches for, its tiles must lead
to its root, and its tree must begin with every tree that was seen. Two that cannot both be true become a file
of evidence. Whatever is smaller than the newest known tree is compared with the hashes that are kept of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import LedgerError, NotFoundError, SourceUnreadableError, UsageError, VerificationError
from ledger.merkle import NodeReader, tree_root
from ledger.notes import Verifier
from ledger.proofs.authority import Authority, authority_of
from ledger.proofs.steps import step
from ledger.publication import Publication
from ledger.times import instant
from ledger.verified_tiles import VerifiedTiles
from ops.evidence import evidence
from ops.importers.strict import decode_object
from ops.observing import Observation, Status
from ops.sightings import KNOWN, REFUSED, SEEN, Sighting, Sightings

NO_EVIDENCE: Final = "there is no evidence to keep: only what the log signed and proves can be held against it"


class _Contradiction(NamedTuple):
    """Two signed trees that cannot both be true; `node` reads the larger one, None where the sizes are equal."""

    known: Sighting
    suspect: Sighting
    node: NodeReader | None


class Monitor:
    """Judges what addresses serve by what one folder remembers.

    Args:
        root: the event id the log must begin with; None with no `log_key` takes the first answer's word.
        log_key: the one key that signs for the log.
        clock: returns now, in microseconds since 1970, UTC.

    Raises:
        UsageError: the folder remembers another log.
    """

    def __init__(
        self, sightings: Sightings, root: str | None, log_key: Verifier | None, clock: Callable[[], int]
    ) -> None:
        self._sightings = sightings
        self._root = root
        self._log_key = log_key
        self._clock = clock
        self._authority = self._remembered()

    def observe(self, address: str, publication: Publication) -> Observation:
        """Look at what an address serves now, and remember it."""
        try:
            return self._judge(address, publication)
        except (NotFoundError, SourceUnreadableError) as error:
            return self._observation(address, Status.unreachable, str(error))
        except LedgerError as error:
            return self._observation(address, Status.failed, f"{error}; {NO_EVIDENCE}")

    # --- trust -----------------------------------------------------------------------------

    def trust(self) -> str:
        """Say on what the trust in the log's keys rests."""
        known = self._authority
        if known is None:
            return "nothing yet"
        named, option = (
            (f"log key {known.key.format()}", "--log-key") if known.key else (f"root {known.root}", "--root")
        )
        why = "as you asked" if known.pinned else f"by the first answer's word, kept since: pin it with {option}"
        return f"{named}, {why}"

    def _remembered(self) -> Authority | None:
        facts = self._sightings.trust()
        if facts is None:
            return None
        kept = authority_of(facts)
        if (self._root and kept.root != self._root) or (self._log_key and kept.key != self._log_key):
            raise UsageError(
                f"this folder follows {kept.origin} by {kept.root or kept.origin}, not what is asked for",
                place="--state",
                cure="give each log a folder of its own",
            )
        return replace(kept, pinned=bool(self._root or self._log_key))

    def _read_identity(self, publication: Publication) -> Authority:
        """Verify the identity that an address serves, against the root that is known."""
        if self._log_key:
            return authority_of({}, None, self._log_key)
        raw = publication.identity()
        with step("canonical form", "pith-log.json"):
            facts = decode_object(raw)
        known = self._authority
        root = self._root or (known.root if known else None)
        return replace(authority_of(facts, root or None), pinned=self._root is not None)

    def _vouching(self, publication: Publication, note: bytes) -> Authority:
        """Return who may sign a checkpoint: as known, or where its key is unknown by a newer identity."""
        known = self._authority
        if known is not None:
            try:
                known.open(note)
            except VerificationError as error:
                if error.step != "key validity" or known.key:
                    raise
            else:
                return known
        return self._read_identity(publication)

    def _adopt(self, authority: Authority) -> None:
        """Trust by an identity from now on, unless it leaves out what was known before.

        Raises:
            VerificationError: step `key validity`; it does.
        """
        known = self._authority
        if authority is known:
            return
        if known is not None and not _places(known) <= _places(authority):
            raise VerificationError(
                "key validity", "the log's identity leaves out key events that it held before", place="pith-log.json"
            )
        self._sightings.keep_trust(authority.facts())
        self._authority = authority

    # --- judging ---------------------------------------------------------------------------

    def _judge(self, address: str, publication: Publication) -> Observation:
        note = publication.checkpoint()
        authority = self._vouching(publication, note)
        checkpoint = authority.open(note).checkpoint
        if self._authority is None:
            self._adopt(authority)
        found, newest = Sighting(checkpoint.size, checkpoint.root), self._sightings.newest()
        self._sightings.see(found, note)
        contradiction = self._contradiction(found, newest, publication)
        if isinstance(contradiction, _Contradiction):
            return self._fork(address, found, contradiction, authority)
        try:
            self._adopt(authority)
        except VerificationError:
            self._refuse(found)
            raise
        self._accept(found, newest, contradiction)
        if newest is None:
            return self._observation(address, Status.first, f"serves {found.size} entries, the first seen", found)
        if found.size > newest.size:
            return self._observation(address, Status.grown, f"grew from {newest.size} to {found.size} entries", found)
        if found.size == newest.size:
            return self._observation(address, Status.same, f"serves {found.size} entries as before", found)
        message = f"stale: serves {found.size} entries, {newest.size} were signed before"
        return self._observation(address, Status.stale, message, found)

    def _contradiction(
        self, found: Sighting, newest: Sighting | None, publication: Publication
    ) -> _Contradiction | VerifiedTiles:
        """Find two trees that cannot both be true, or return the larger of a checkpoint's and the newest known."""
        if rival := self._sightings.rival(found):
            # This needs no tiles, so no log can withhold what shows it.
            return _Contradiction(rival, found, None)
        if newest is None or found.size > newest.size:
            tiles = VerifiedTiles(found.size, found.root, publication.tile)
            for earlier in (*([newest] if newest else []), *self._waiting(found)):
                if tree_root(earlier.size, tiles.node) != earlier.root:
                    return _Contradiction(earlier, found, tiles.node)
        else:
            tiles = self._kept_tree(newest)
            for later in (found, *self._waiting(newest)):
                if tree_root(later.size, tiles.node) != later.root:
                    return _Contradiction(newest, later, tiles.node)
        return tiles

    def _accept(self, found: Sighting, newest: Sighting | None, tiles: VerifiedTiles) -> None:
        """Take a checkpoint into the one history, with all that waited to be compared and agrees."""
        if newest is None or found.size > newest.size:
            self._sightings.keep_hashes(newest.size if newest else 0, found.size, tiles)
        largest = max(found, newest or found)
        for agreed in (*self._waiting(largest), found):
            self._sightings.move(agreed, KNOWN)

    def _waiting(self, largest: Sighting) -> list[Sighting]:
        """Return what was signed and never compared, as far as a tree reaches."""
        return [other for other in self._sightings.at(SEEN) if other.size <= largest.size]

    def _kept_tree(self, newest: Sighting) -> VerifiedTiles:
        try:
            return VerifiedTiles(newest.size, newest.root, self._sightings.tile)
        except VerificationError as error:
            raise VerificationError(
                "tile",
                f"the hashes kept of the newest known tree are damaged: {error.message}",
                place="--state",
                cure="keep the folder as it is, and follow the log with a new one",
            ) from error

    def _fork(self, address: str, found: Sighting, contradiction: _Contradiction, authority: Authority) -> Observation:
        """Keep evidence of a contradiction; the newest known tree stays what it is."""
        known, suspect, node = contradiction
        assert self._authority is not None
        notes = self._sightings.note(known), self._sightings.note(suspect)
        other = None if authority is self._authority else authority
        sizes = min(known.size, suspect.size), max(known.size, suspect.size)
        try:
            file = evidence(self._authority, *notes, node, self._clock(), other)
        except VerificationError as error:
            if error.step == "key validity":
                # A retired key signed what waited here. Left in its place, it would be met again for ever.
                self._refuse(known, suspect)
            raise
        path = self._sightings.keep_evidence(file)
        self._refuse(known, suspect)
        message = (
            f"FORK: {self._authority.origin} signed a tree of {sizes[0]} and one of {sizes[1]} entries"
            f" that cannot both be true; the evidence is in {path}"
        )
        return self._observation(address, Status.fork, message, found, path)

    def _refuse(self, *sightings: Sighting) -> None:
        for sighting in sightings:
            if not self._sightings.is_known(sighting):
                self._sightings.move(sighting, REFUSED)

    def _observation(
        self, address: str, status: Status, message: str, found: Sighting | None = None, path: Path | None = None
    ) -> Observation:
        newest = self._sightings.newest()
        return Observation(
            instant(self._clock()),
            address,
            status,
            message,
            self.trust(),
            found.size if found else None,
            found.root.hex() if found else None,
            newest.size if newest else None,
            path,
        )


def _places(authority: Authority) -> set[tuple[int, bytes]]:
    return {(entry.position, entry.event.event_id) for entry in authority.key_events}
