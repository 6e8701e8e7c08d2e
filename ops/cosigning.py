"""Collecting cosignatures: a log's side of C2SP tlog-witness.

Every witness of a policy that has an address is asked at once. None of them is trusted: an answer is taken
only as far as its cosignature verifies over exactly our checkpoint, and no answer, however long, slow or
wrong, keeps those of the others from being returned.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

import httpx

from ledger import checkpoints, notes
from ledger.errors import CosigningError, LedgerError
from ledger.notes import NoteSignature, SignedNote
from ledger.quorum import KnownWitness, Policy
from ledger.witnessing import AddCheckpoint

DEADLINE_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 1 << 16

_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_OK, _CONFLICT = 200, 409

Consistency = Callable[[int, int], list[bytes]]
"""Returns the proof that our tree grew from one size to another; called from one thread at a time."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What the witnesses of a policy answered, by their names in it; each asked one stands in one of the two."""

    signatures: dict[str, NoteSignature] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    kind: str
    content: bytes

    @property
    def known_size(self) -> int | None:
        """The size that a conflict names, if it does."""
        found = _SIZE.fullmatch(self.content)
        return int(found[1]) if found and (self.status, self.kind) == (_CONFLICT, "text/x.tlog.size") else None

    def describe(self) -> str:
        said = self.content[:200].decode("utf-8", "replace").strip()
        return f"it answered {self.status}" + (f": {said!r}" if said else "")


def collect(
    note: bytes,
    policy: Policy,
    cosigned: Mapping[str, int],
    consistency: Consistency,
    client: httpx.Client,
    deadline: float = DEADLINE_SECONDS,
) -> Collected:
    """Ask every witness with an address for a cosignature.

    Args:
        note: our signed checkpoint.
        cosigned: the last size that each witness is known to have cosigned, by name; 0 where missing.
        client: closing it afterwards also ends what is still under way past the deadline.
        deadline: seconds until the answers that are there are returned.

    Raises:
        VerificationError: step `checkpoint`; the note is no checkpoint. Nobody was asked.
    """
    asking = _Asking(notes.parse(note), dict(cosigned), consistency, client, deadline)
    asked = [witness for witness in policy.witnesses if witness.url is not None]
    answers: SimpleQueue[tuple[str, NoteSignature | str]] = SimpleQueue()
    for witness in asked:
        # Daemons, since a witness that dribbles its headers could keep a thread, and so the process, for hours.
        threading.Thread(target=asking.ask, args=(witness, answers), daemon=True).start()
    found = Collected(errors={witness.name: f"it did not answer within {deadline:g} seconds" for witness in asked})
    for _ in asked:
        try:
            name, answer = answers.get(timeout=asking.seconds_left())
        except Empty:
            break
        if isinstance(answer, str):
            found.errors[name] = answer
        else:
            found.signatures[name] = answer
            del found.errors[name]
    return found


class _Asking:
    """One checkpoint on its way to the witnesses; shared by the threads that ask them."""

    def __init__(
        self,
        note: SignedNote,
        cosigned: dict[str, int],
        consistency: Consistency,
        client: httpx.Client,
        deadline: float,
    ) -> None:
        self._note = note
        self._size = checkpoints.parse(note.text).size
        self._cosigned = cosigned
        self._consistency = consistency
        self._proving = threading.Lock()
        self._client = client
        self._seconds = deadline
        self._end = time.monotonic() + deadline

    def seconds_left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def ask(self, witness: KnownWitness, answers: SimpleQueue[tuple[str, NoteSignature | str]]) -> None:
        """Put the witness's verified cosignature, or the reason why there is none, into the queue."""
        try:
            answers.put((witness.name, self._cosignature(witness)))
        except LedgerError as error:
            answers.put((witness.name, error.message))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
            # A RuntimeError is what a client that was closed meanwhile raises.
            answers.put((witness.name, f"it cannot be asked: {str(error) or type(error).__name__}"))

    def _cosignature(self, witness: KnownWitness) -> NoteSignature:
        old = self._cosigned.get(witness.name, 0)
        if old <= self._size:
            answer = self._post(witness, old)
            known = answer.known_size
            if known is None:
                return self._verified(witness, answer)
            old = known
        if old > self._size:
            raise CosigningError(f"it has cosigned {old} entries of this log, this checkpoint has {self._size}")
        return self._verified(witness, self._post(witness, old))

    def _post(self, witness: KnownWitness, old: int) -> _Answer:
        self._check_time()
        with self._proving:
            proof = tuple(self._consistency(old, self._size))
        with self._client.stream(
            "POST",
            f"{(witness.url or '').rstrip('/')}/add-checkpoint",
            content=AddCheckpoint(old, proof, self._note).format(),
            # Nothing compressed: a small answer must not unpack into a large one.
            headers={"accept-encoding": "identity", "content-type": "text/plain; charset=utf-8"},
            follow_redirects=False,
            timeout=self._seconds,
        ) as response:
            content = bytearray()
            for part in response.iter_raw():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise CosigningError(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")
                self._check_time()
            return _Answer(response.status_code, response.headers.get("content-type", ""), bytes(content))

    def _check_time(self) -> None:
        if not self.seconds_left():
            raise CosigningError(f"its answer did not end within {self._seconds:g} seconds")

    def _verified(self, witness: KnownWitness, answer: _Answer) -> NoteSignature:
        if answer.status != _OK:
            raise CosigningError(answer.describe())
        # Read as a note of our text, which an answer with an empty line of its own would change.
        note, _ = notes.open_note(self._note.text.encode() + b"\n" + answer.content, [witness.key])
        if note.text != self._note.text:
            raise CosigningError("its answer is not made of signature lines")
        key = (witness.key.name, witness.key.key_hash)
        line = next(line for line in note.signatures if (line.name, line.key_hash) == key)
        if line.time == 0:
            raise CosigningError("its cosignature states no time")
        return line
