"""`import`: real metadata, public records and bundles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ledger.appending import Submission
from ledger.errors import UnknownKeyError
from ledger.keys import fingerprint
from ledger.signing import foreign_key
from ops.cli.output import Json, KeyOption, keys_of, opened, progress, say, tell
from ops.home import Home
from ops.importers import files
from ops.importers.files import Source
from ops.importers.run import Report, import_sources
from projections.runner import Runner

ENOUGH_FOR_TENTHS = 10_000


def register(app: typer.Typer) -> None:
    app.command("import")(import_files)


def import_files(
    paths: Annotated[
        list[Path], typer.Argument(help="JSON lines, Atom or ACL XML, record documents, bundles; also gzipped.")
    ],
    limit: Annotated[int | None, typer.Option(help="Stop after so many lines of each file.", min=1)] = None,
    key: KeyOption = None,
    key_source: Annotated[str, typer.Option(help="Where the --key was published.")] = "operator:command-line",
    json: Json = False,
) -> int:
    """Import papers; what the log holds already is compared and skipped, bad lines are listed and skipped."""
    report = Report()
    for path in paths:
        files.size(path)
    with opened() as home:
        home.check_own()
        _register_keys(home, keys_of(key), key_source)
        for path in paths:
            with progress(path.name, files.size(path)) as advance:
                at = 0

                def moved(source: Source) -> None:
                    nonlocal at
                    advance(source.offset - at)
                    at = source.offset

                import_sources(home, _limited(files.sources(path), limit), report, moved)
        size = home.store.head().size
        with progress("projecting", size) as advance:
            Runner(home.store, home.projections).catch_up(advance)
    if json:
        tell({**msgspec.to_builtins(report), "lines_per_second": round(report.rate), "log_size": size})
    else:
        _show(report, size)
    return 2 if report.refused_count else 0


def _limited(sources: Iterator[Source], limit: int | None) -> Iterator[Source]:
    for number, source in enumerate(sources):
        if number == limit:
            return
        yield source


def _register_keys(home: Home, keys: dict[str, bytes], source: str) -> None:
    registered = home.store.registry().keys
    signer = home.signatory("event")
    for label, public_key in keys.items():
        try:
            registered.receipt_key(label, fingerprint(public_key))
        except UnknownKeyError:
            payload = foreign_key(
                label, public_key.hex(), home.store.registry_name, source, signer.now(), signer.nonce()
            )
            home.append([Submission(signer.sign("key_registered", "registry", payload)[0])])


def _show(report: Report, size: int) -> None:
    say(
        f"{report.lines} lines: {report.created} records created, {report.updated} updated, "
        f"{report.unchanged} unchanged, {report.refused_count} refused",
        f"{report.events} events signed and appended, the log has {size}",
    )
    if report.seconds:
        speed = f"{report.rate:,.0f} lines/s, {report.events / report.seconds:,.0f} events/s"
        if report.lines >= ENOUGH_FOR_TENTHS:
            speed += f" (first tenth {report.first_tenth_rate:,.0f}, last tenth {report.last_tenth_rate:,.0f} lines/s)"
        say(f"{report.seconds:.1f} s, {speed}, peak memory {report.peak_memory_mb:.0f} MB in all processes")
    for note, count in sorted(report.notes.items()):
        say(f"note: {note} ({count} lines)")
    for refusal in report.refused[:20]:
        where = f" at {refusal['place']}" if "place" in refusal else ""
        say(f"line {refusal['line']} refused: {refusal['error']}: {refusal['message']}{where}")
    if report.refused_count > 20:
        say(f"… and {report.refused_count - 20} more: --json lists the first {len(report.refused)}")
