"""Notes that are no checkpoint of a log, and what a checkpoint may carry along: what forgers do to signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger import checkpoints, notes
from ledger.checkpoints import Checkpoint, issue
from ledger.keys import SecretKey
from ledger.log_keys import log_origin
from tests.builders import World, key
from tests.ops.proofs import NO_HASH, loose_bits_of


def a_note(world: World, size: int, root: bytes, by: SecretKey | None = None, origin: str | None = None) -> str:
    """Return a checkpoint of any content, signed by the registry's log key or another."""
    checkpoint = Checkpoint(origin or log_origin(world.name), size, root)
    return issue(checkpoint, by or world.log.key).format().decode()


def text_of(note: str) -> str:
    return notes.parse(note.encode()).text


def signature_line(note: str) -> str:
    """Return the last line of a note, which is its last signature."""
    return note.splitlines(keepends=True)[-1]


def a_strangers_line(note: str) -> str:
    """Return a true signature over a note by a key that nobody registered."""
    return notes.cosign(text_of(note), "stranger.example/w", key("a stranger"), 1_767_139_200).format()


def with_a_strangers_line(note: str, world: World) -> str:
    return note + a_strangers_line(note)


def with_a_strangers_line_first(note: str, world: World) -> str:
    return f"{text_of(note)}\n{a_strangers_line(note)}{signature_line(note)}"


def signed_twice(note: str, world: World) -> str:
    return note + signature_line(note)


def signed_by_strangers_alone(note: str, world: World) -> str:
    return f"{text_of(note)}\n{a_strangers_line(note)}"


def _signed_by(note: str, by: SecretKey, origin: str) -> str:
    stated = checkpoints.parse(text_of(note))
    return issue(Checkpoint(origin, stated.size, stated.root), by).format().decode()


def of_another_log(note: str, world: World) -> str:
    return _signed_by(note, world.log.key, "other.registry/log")


def of_another_log_under_this_key(note: str, world: World) -> str:
    """Sign another log's checkpoint with this log's key, under the key's right name."""
    text = text_of(note).replace(log_origin(world.name), "other.registry/log", 1)
    return f"{text}\n{notes.sign(text, log_origin(world.name), world.log.key).format()}"


def by_another_registrys_log_key(note: str, world: World) -> str:
    return _signed_by(note, World("other.registry").log.key, log_origin(world.name))


def by_the_event_key(note: str, world: World) -> str:
    return _signed_by(note, world.registry.key, log_origin(world.name))


def by_the_receipt_key(note: str, world: World) -> str:
    return _signed_by(note, world.receipt.key, log_origin(world.name))


def with_another_size(note: str, world: World) -> str:
    origin, size, *rest = note.split("\n")
    return "\n".join([origin, str(int(size) + 1), *rest])


def with_another_root(note: str, world: World) -> str:
    origin, size, _, *rest = note.split("\n")
    return "\n".join([origin, size, NO_HASH, *rest])


def with_a_longer_text(note: str, world: World) -> str:
    return note.replace("\n\n", "\nan extension\n\n", 1)


def with_another_signature(note: str, world: World) -> str:
    """Put the signature of another text by the same key under a note."""
    return text_of(note) + "\n" + signature_line(a_note(world, 1, bytes(32)))


def with_loose_bits(note: str, world: World) -> str:
    """Spell the signature with bits set that its base64 does not need."""
    line = signature_line(note)
    spelled = loose_bits_of(line.split()[-1])
    return note.replace(line.split()[-1], spelled)


def with_loose_bits_in_the_root(note: str, world: World) -> str:
    """Spell the root with bits set that its base64 does not need, and sign that."""
    text = text_of(note)
    root = text.split("\n")[2]
    text = text.replace(root, loose_bits_of(root))
    return f"{text}\n{notes.sign(text, log_origin(world.name), world.log.key).format()}"


def with_other_line_ends(note: str, world: World) -> str:
    return note.replace("\n", "\r\n")


def without_its_last_newline(note: str, world: World) -> str:
    return note[:-1]


def unsigned(note: str, world: World) -> str:
    return text_of(note) + "\n"


SpoilNote = Callable[[str, World], str]

STRANGERS_LINES: Final[list[SpoilNote]] = [with_a_strangers_line, with_a_strangers_line_first]
"""What a note may carry along and nobody has to know."""

FALSE_NOTES: Final[list[SpoilNote]] = [
    signed_twice,
    of_another_log,
    of_another_log_under_this_key,
    with_another_size,
    with_another_root,
    with_a_longer_text,
    with_another_signature,
    with_loose_bits,
    with_loose_bits_in_the_root,
    with_other_line_ends,
    without_its_last_newline,
    unsigned,
]
"""Notes that no checkpoint of this log is, whoever may sign for it."""

FOREIGN_NOTES: Final[list[SpoilNote]] = [
    signed_by_strangers_alone,
    by_another_registrys_log_key,
    by_the_event_key,
    by_the_receipt_key,
]
"""Good notes that nobody signed who may sign for this log."""
