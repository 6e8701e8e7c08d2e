"""`checkpoint`, `receipt`, `proof`, `bundle`, `export`, `verify`: what can be checked without us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import UsageError
from ledger.events import Entry
from ledger.merkle import MAX_SIZE
from ledger.notes import Verifier, parse_verifier
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ops import export as exports
from ops.checkpointing import checkpoint as make_checkpoint
from ops.checkpointing import newest, read_policy
from ops.cli.output import Json, KeyOption, keys_of, opened, progress, say, show_checks, tell, write_out
from ops.cli.reading import Subject
from ops.cli.remote import ItsLogKey, ItsRoot, connected, remark_on_trust
from ops.finding import found_anywhere
from ops.home import Home
from ops.verify import verify_path
from projections import bundles
from projections.rebuild import replay

if TYPE_CHECKING:
    from api.client.client import Client

Root = Annotated[str | None, typer.Option("--root", help="The event id the log must begin with (sha256:…).")]
LogKey = Annotated[str | None, typer.Option("--log-key", help="The key that must sign for the log (NAME+HASH+KEY).")]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="A file of witnesses and how many must cosign (C2SP tlog-policy).")
]
Headers = Annotated[
    Path | None,
    typer.Option("--headers", help="A file of Bitcoin block headers that you trust (JSON: hex by height)."),
]
EventArgument = Annotated[str, typer.Argument(help="An event id (sha256:…) or a position.")]


def register(app: typer.Typer) -> None:
    for command in (checkpoint, receipt, proof, bundle, export, verify):
        app.command()(command)


def checkpoint(json: Json = False) -> int:
    """Sign a checkpoint over all the log holds, collect the witnesses' cosignatures, publish it."""
    with opened() as home:
        made = make_checkpoint(home)
    found = made.checkpoint
    if json:
        tell(
            {
                "size": found.size,
                "root_hash": found.root.hex(),
                "published": made.published,
                "missing": made.missing,
                "refusals": made.refusals,
                "note": found.note.decode(),
            }
        )
    else:
        say(*found.note.decode().splitlines())
        for name, refusal in made.refusals.items():
            say(f"witness {name}: {refusal}")
        say("published" if made.published else f"not published yet: {made.missing}; run `pith checkpoint` again")
    return 0 if made.published else 1


def receipt(context: typer.Context, event: EventArgument, root: ItsRoot = None, log_key: ItsLogKey = None) -> None:
    """Print an event's receipt: with it anybody can check, offline and in years, that the log holds the event."""
    if (client := connected(context, root, log_key)) is not None:
        with client as registry:
            tell(registry.receipt(_event_id(registry, event)).value)
            remark_on_trust(registry)
        return
    with opened() as home:
        newest(home)
        tell(receipts.receipt(home.store, _entry(home, event)))


def proof(
    context: typer.Context,
    event: Annotated[str | None, typer.Argument(help="An event id (sha256:…) or a position.")] = None,
    growth: Annotated[
        tuple[int, int] | None,
        typer.Option("--growth", help="Prove instead that the log of one checkpoint begins with that of another."),
    ] = None,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
) -> None:
    """Print a proof of inclusion (C2SP tlog-proof), or with --growth OLD NEW one of consistency."""
    if (event is None) == (growth is None):
        raise UsageError("give an event, or --growth and two sizes", cure="see `pith proof --help`")
    if growth is not None and max(growth) > MAX_SIZE:
        raise UsageError(f"no log has {max(growth)} entries", place="--growth")
    if (client := connected(context, root, log_key)) is not None:
        with client as registry:
            if event is not None:
                write_out(registry.proof(_event_id(registry, event))[0])
            elif growth is not None:
                tell(registry.growth(min(growth), max(growth)).value)
            remark_on_trust(registry)
        return
    with opened() as home:
        published = newest(home)
        if event is not None:
            write_out(receipts.inclusion(home.store, _entry(home, event)))
        elif growth is not None:
            if max(growth) > published.size:
                raise UsageError(f"the published checkpoint covers {published.size} entries", place="--growth")
            old, new = (home.store.checkpoints.at(size) for size in sorted(growth))
            tell(receipts.consistency(home.store, old, new))


def bundle(context: typer.Context, subject: Subject, root: ItsRoot = None, log_key: ItsLogKey = None) -> None:
    """Print everything about one paper as a bundle that `pith verify` checks offline."""
    if (client := connected(context, root, log_key)) is not None:
        with client as registry:
            tell(registry.bundle(subject).value)
            remark_on_trust(registry)
        return
    with opened() as home, found_anywhere(home, subject) as (holder, named):
        newest(holder)
        tell(bundles.bundle(holder.store, named.subject))


def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    json: Json = False,
) -> None:
    """Write the whole log into a folder that `pith verify` checks anywhere. Private texts are not in it."""
    with opened() as home:
        published = newest(home)
        digest = replay(home.store, published.size)
        with progress("exporting", published.size) as advance:
            manifest = exports.export(home.store, folder, published, digest, advance)
    if json:
        tell(manifest)
    else:
        say(f"{manifest['size']} entries in {folder}", f"state digest {digest}", f"next  pith verify {folder}")


def verify(
    path: Annotated[Path, typer.Argument(help="A document, bundle, receipt, proof, evidence of a fork, or an export.")],
    key: KeyOption = None,
    root: Root = None,
    log_key: LogKey = None,
    policy: PolicyOption = None,
    headers: Headers = None,
    json: Json = False,
) -> None:
    """Verify a file offline: no network, no database; the first check that fails is named."""
    known: dict[int, bytes] = {}
    if headers:
        from ops.timestamps.headers import read_headers

        known = read_headers(headers)
    trust = Trust(root, log_key_of(log_key), read_policy(policy) if policy else None, keys_of(key), known)
    with progress("verifying", 0) as advance:
        checks = verify_path(path, trust, advance)
    if json:
        tell({"verified": True, "checks": checks})
    else:
        show_checks(checks)


def log_key_of(text: str | None) -> Verifier | None:
    """Read a log's key (`name+hash+base64`); raises UsageError for another form."""
    try:
        return parse_verifier(text) if text else None
    except UsageError as error:
        error.place = "--log-key"
        raise


def _entry(home: Home, event: str) -> Entry:
    named = _named(event)
    return home.store.entry(named) if isinstance(named, int) else home.store.find(bytes.fromhex(named))


def _event_id(registry: Client, event: str) -> str:
    named = _named(event)
    return registry.entry(named).event.id_text if isinstance(named, int) else f"sha256:{named}"


def _named(event: str) -> int | str:
    """Read a position, or the hex digits of an event id; raises UsageError for anything else."""
    if event.isascii() and event.isdigit() and len(event) < 20:
        return int(event)
    digits = event.removeprefix("sha256:")
    if len(digits) != 64 or digits.strip("0123456789abcdef"):
        raise UsageError(f"{event[:80]!r} is neither an event id nor a position", cure="see `pith history SUBJECT`")
    return digits
