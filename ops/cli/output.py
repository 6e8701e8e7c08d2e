"""What commands print: tables for people, JSON for scripts, progress on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.errors import LedgerError, UsageError
from ledger.store import Store
from ops.home import Home, open_home
from ops.settings import Settings, read_settings
from ops.shared_logs import kept_together

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="A position (number of entries) or a time (2026-06-19T16:12:24Z).")
]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="A further receipt key, as LABEL=HEX; may be repeated.")
]

WIDE = 200
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def settings() -> Settings:
    return read_settings(os.environ)


@contextmanager
def opened(*, apart: bool = False) -> Iterator[Home]:
    """Open the ledger of PITH_DATA for the length of a command.

    Args:
        apart: leave the registry's other logs as they are, which else get what this one has of keys and policies.
    """
    home = open_home(settings())
    try:
        with nullcontext() if apart else kept_together(home):
            yield home
    finally:
        home.close()


@contextmanager
def _read_on() -> Iterator[None]:
    """End quietly when whoever reads the output has seen enough of it."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def plain(text: object) -> str:
    """Make foreign text safe for a terminal: one line, no control characters, no change of direction."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def say(*lines: str) -> None:
    """Print lines for people; markup is not interpreted, so foreign text cannot style itself."""
    with _read_on():
        for line in lines:
            console.print(plain(line), markup=False, emoji=False)


def show_checks(checks: list[str]) -> None:
    """Print what a verification found to hold, and what it leaves open."""
    say(*(f"{'--' if check.startswith('open:') else 'ok'}  {check}" for check in checks))


def tell(value: Any) -> None:
    """Print a value as JSON, keeping key order and any verbatim parts."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    # What a terminal could take for a command stands in strings only, where an escape means the same.
    with _read_on():
        sys.stdout.write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
        sys.stdout.flush()


def write_out(raw: bytes) -> None:
    """Print a file's exact bytes."""
    with _read_on():
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()


def fail(error: LedgerError, *, as_json: bool) -> None:
    """Print an error to standard error: the fault, the place and the cure."""
    if as_json:
        # Only ASCII: what a source says must not steer a terminal.
        sys.stderr.write(json.dumps(error.facts()) + "\n")
        return
    sys.stderr.write(plain(f"{error.code}: {error}") + "\n")
    for choice in getattr(error, "choices", ()):
        sys.stderr.write(f"  {choice}\n")


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long command is: a bar on a terminal, a line for each tenth elsewhere.

    Yields a function that takes how much was done since its last call.
    """
    if sys.stderr.isatty():
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda step: bar.advance(task, step)
        return
    done = tenth = 0

    def advance(step: int) -> None:
        nonlocal done, tenth
        done += step
        if total and done * 10 // total > tenth:
            tenth = done * 10 // total
            sys.stderr.write(f"{label}: {min(100, tenth * 10)} %\n")

    yield advance


def position_of(store: Store, as_of: str | None) -> int:
    """Turn `--as-of` into a number of entries; None is the whole log.

    Raises:
        UsageError: neither a position within the log nor a time.
    """
    size = store.head().size
    if as_of is None:
        return size
    if as_of.isascii() and as_of.isdigit():
        if int(as_of) > size:
            raise UsageError(f"the log has {size} entries, not {as_of}", place="--as-of")
        return int(as_of)
    try:
        time = datetime.fromisoformat(as_of)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UsageError(f"{as_of!r} is neither a position nor a time with its zone", place="--as-of")
    return store.size_at(round(time.timestamp() * 1_000_000))


def keys_of(pairs: list[str] | None) -> dict[str, bytes]:
    """Read LABEL=HEX pairs into raw 32-byte public keys.

    Raises:
        UsageError: another form.
    """
    found = {}
    for pair in pairs or []:
        label, _, text = pair.partition("=")
        if not label or not re.fullmatch(r"[0-9a-f]{64}", text):
            raise UsageError(f"{pair[:80]!r} is not LABEL=HEX", place="--key", cure="the public key is 64 hex digits")
        found[label] = bytes.fromhex(text)
    return found


def read_argument(text: str) -> bytes:
    """Return an argument's bytes: the text itself, `@FILE`, or `-` for standard input.

    Raises:
        UsageError: the file cannot be read.
    """
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return os.fsencode(text)
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=text[1:]) from None
