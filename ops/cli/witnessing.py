"""`witness`: cosigning the checkpoints of other logs."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import UsageError, VerificationError
from ledger.notes import Verifier, parse_verifier
from ledger.proofs.authority import Authority
from ledger.witness import Contradiction, Witness
from ops.cli.output import Json, say, settings
from ops.evidence import evidence as fork_evidence
from ops.evidence_files import keep_evidence
from ops.home import now
from ops.witnessing import open_witness


def register(app: typer.Typer) -> None:
    app.command()(witness)


def witness(
    name: Annotated[str, typer.Argument(help="The witness's name, such as witness.example/w1.")],
    log: Annotated[
        list[str] | None, typer.Option("--log", help="The key of a log to follow, as name+hash+base64; repeatable.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of its key and memory; default: $PITH_DATA/witness.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for any.", min=0, max=65535)] = 8081,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Do not serve: write what proves that a log signed two histories.")
    ] = False,
    json: Json = False,
) -> int:
    """Run a witness: cosign the checkpoints of other logs as long as they only grow, until interrupted."""
    # Imported here so that no other command waits for the web framework.
    from api.witness import create_witness_app
    from ops.serving import serve

    folder = data or settings().data / "witness"
    logs = [_log_key(text) for text in log or ()]
    if not logs:
        raise UsageError("a witness follows at least one log", place="--log", cure="give the log's key")
    served, database = open_witness(folder, name, logs)
    if evidence:
        try:
            return _write_evidence(served, folder, logs)
        finally:
            database.close()

    def announce(address: str) -> None:
        facts = {
            "witness": name,
            "key": served.verifier.format(),
            "address": address,
            "logs": {followed.origin: followed.size for followed in served.followed()},
            "data": str(folder),
        }
        if json:
            typer.echo(json_format.dumps(facts))
            return
        say(
            f"witness    {name}",
            f"key        {facts['key']}",
            f"address    {address}",
            *(f"log        {followed.origin} {followed.size}" for followed in served.followed()),
            f"policy     witness {name} {facts['key']} {address}",
            "           a line for the policy file of whoever asks this witness",
        )

    try:
        serve(create_witness_app(served, now), host, port, announce)
    finally:
        database.close()
    return 0


def _write_evidence(served: Witness, folder: Path, logs: list[Verifier]) -> int:
    """Write a file for each contradiction that the witness was shown; return 1 if there is one."""
    found = served.contradictions()
    for contradiction in found:
        value = _evidence_of(contradiction, [key for key in logs if key.name == contradiction.origin])
        if value is None:
            say(f"{contradiction.origin} signed two roots for {contradiction.size} entries: give its key with --log")
            continue
        path = keep_evidence(folder, value)
        say(f"{contradiction.origin} signed two roots for {contradiction.size} entries", f"next  pith verify {path}")
    if not found:
        say("no log showed this witness two histories")
    return 1 if found else 0


def _evidence_of(contradiction: Contradiction, keys: list[Verifier]) -> dict[str, Any] | None:
    """Return the evidence under the one of a log's keys that signed both notes; None where none did."""
    for key in keys:
        authority = Authority(None, "", (), key, pinned=True)
        at = contradiction.time * 1_000_000
        try:
            return fork_evidence(authority, contradiction.cosigned, contradiction.refused, None, at)
        except VerificationError:
            continue
    return None


def _log_key(text: str) -> Verifier:
    try:
        return parse_verifier(text)
    except UsageError as error:
        raise UsageError(error.message, place="--log", cure=error.cure) from None
