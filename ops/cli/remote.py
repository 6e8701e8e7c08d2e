"""`--url`: the same commands on a registry at an address, and `follow`, which reads its log as it grows.

What such a registry says is printed as if it were here. Where its log can prove it, it is verified first, under
`--root` or `--log-key`; without them it is said that the registry vouches for itself.
"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ledger.appending import Appended, Submission
from ledger.errors import ForkError, LedgerError, UsageError
from ledger.events import Entry
from ledger.proofs.trust import Trust
from ledger.times import instant
from ops.cli.output import Json, plain, progress, say, write_out
from ops.evidence_files import keep_evidence
from ops.whole_files import as_file, write_whole

if TYPE_CHECKING:
    from api.client.client import Client

Url = Annotated[
    str | None,
    typer.Option("--url", help="Work on the registry at this address, not on PITH_DATA; also PITH_URL.", metavar="URL"),
]
ItsRoot = Annotated[
    str | None, typer.Option("--root", help="With --url: the event id its log must begin with (sha256:…).")
]
ItsLogKey = Annotated[
    str | None, typer.Option("--log-key", help="With --url: the key that must sign for its log (NAME+HASH+KEY).")
]

VARIABLE: Final = "PITH_URL"
ON_A_REGISTRY: Final = frozenset(
    {"show", "history", "find", "sign", "append", "receipt", "proof", "bundle", "keygen", "follow"}
)
"""What can be done on a registry elsewhere."""

ON_NONE: Final = frozenset({"init", "settings", "verify", "serve", "mirror", "monitor", "witness", "bench"})
"""What is about no chosen registry, so that `PITH_URL` means nothing to it."""

LONG: Final = 1_000
"""From how many events on it is worth showing how far they are."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The registry that commands are to work on."""

    url: str


def register(app: typer.Typer) -> None:
    app.command()(follow)


def chosen(command: str | None, url: str | None, environment: Mapping[str, str]) -> Elsewhere | None:
    """Return the registry that a command is to work on; None is the one in PITH_DATA.

    Raises:
        UsageError: this command cannot be carried out elsewhere.
    """
    named = url or environment.get(VARIABLE)
    if not named or command is None:
        return None
    if command in ON_A_REGISTRY:
        return Elsewhere(named)
    place, cure = ("--url", "leave --url out") if url else (VARIABLE, f"unset {VARIABLE}")
    if url or command not in ON_NONE:
        raise UsageError(
            f"`pith {command}` works on the data here, not on a registry elsewhere",
            place=place,
            cure=f"{cure}, or copy that registry's log with `pith mirror URL FOLDER`",
        )
    return None


def connected(
    context: typer.Context, root: str | None = None, log_key: str | None = None
) -> AbstractContextManager[Client] | None:
    """Return what opens the registry that was chosen; None where that is the one here.

    Evidence of a fork that is found meanwhile is kept in the current folder.

    Raises:
        UsageError: the address is none; or a root or key is given, and no registry to check by it.
    """
    elsewhere = context.find_object(Elsewhere)
    if elsewhere is None:
        for option, value in (("--root", root), ("--log-key", log_key)):
            if value is not None:
                cure = "name it with `pith --url URL …`, or leave the option out"
                raise UsageError("this checks a registry elsewhere, and none is named", place=option, cure=cure)
        return None
    from api.client.client import Client  # only here, since the HTTP client takes a quarter of a second to load
    from ops.cli.proving import log_key_of  # not above, since those commands look here first

    return _keeping_evidence(Client(elsewhere.url, Trust(root, log_key_of(log_key))))


@contextmanager
def _keeping_evidence(client: Client) -> Iterator[Client]:
    try:
        with client:
            yield client
    except ForkError as error:
        error.place = str(keep_evidence(Path(), error.evidence))
        raise


def name_of(registry: Client, expected: str | None = None) -> str:
    """Return a registry's stable name, by its log's identity.

    Raises:
        UsageError: another one is expected.
        VerificationError: the identity does not hold.
    """
    name = registry.registry_name()
    if expected not in (None, name):
        raise UsageError(f"the registry at this address is {name}", place="--registry", cure="leave --registry out")
    remark_on_trust(registry)
    return name


def remark(text: str) -> None:
    """Say beside the output what it does not prove."""
    sys.stderr.write(plain(f"--  {text}") + "\n")


def remark_on_trust(registry: Client) -> None:
    """Say so where a registry vouched for its own keys."""
    if not registry.is_pinned:
        remark("open: the log's keys are the registry's own word: pin them with --root")


def handed_in(
    registry: Client, parsed: Sequence[Submission | LedgerError], receipt: Path | None = None
) -> Iterator[Appended | LedgerError]:
    """Hand in submissions, and yield what became of each, in order; errors among them stay what they are.

    Args:
        receipt: a file for the receipt of the last one that was taken.

    Raises:
        VerificationError: the registry does not prove what it answers.
    """
    from api.client.answers import Refused

    outcomes = registry.submit_all(item for item in parsed if isinstance(item, Submission))
    taken = unproven = 0
    with progress("sending", len(parsed)) if len(parsed) > LONG else nullcontext(lambda _: None) as advance:
        for item in parsed:
            outcome = next(outcomes) if isinstance(item, Submission) else item
            advance(1)
            if isinstance(outcome, LedgerError):
                yield outcome
            elif isinstance(outcome, Refused):
                yield outcome.error
            else:
                yield Appended(Entry(outcome.position, outcome.received_at, outcome.event), outcome.created)
                proven = outcome.receipt
                if receipt is not None:
                    proven = proven or registry.receipt(outcome.event.id_text)
                    write_whole(receipt, as_file(proven.value))
                taken, unproven = taken + 1, unproven + (proven is None)
    if unproven:
        remark("open: the registry gave no receipt yet: ask for it with `pith --url URL receipt`")
    elif taken:
        remark_on_trust(registry)


def follow(
    context: typer.Context,
    after: Annotated[int, typer.Option("--after", help="The position of the last entry you have.", min=-1)] = -1,
    json: Json = False,
) -> None:
    """Print the entries of a registry's log, and each new one as it is appended, until interrupted."""
    client = connected(context)
    if client is None:
        raise UsageError(
            "there is nothing to follow here", place="--url", cure="name a registry: `pith --url URL follow`"
        )
    with client as registry:
        try:
            for entry in registry.follow(after):
                _show(entry, json=json)
        except KeyboardInterrupt:
            return


def _show(entry: Entry, *, json: bool) -> None:
    event = entry.event
    if json:
        row = {"position": entry.position, "received_at": entry.received_at, "event": event.value}
        # Only ASCII: what an event holds must not steer a terminal.
        write_out(json_format.dumps(row, separators=(",", ":")).encode() + b"\n")
    else:
        say(f"{entry.position:>8}  {instant(entry.received_at)[:19]}  {event.event_type:20} {event.id_text}")
