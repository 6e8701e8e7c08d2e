"""`monitor`: following a log from outside."""

from __future__ import annotations

import json as json_format
import random
import time
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import UsageError
from ops.cli.output import Json, say, write_out
from ops.cli.proving import LogKey, Root, log_key_of
from ops.home import now
from ops.monitor import Monitor
from ops.observing import Observation, Status, follow
from ops.publications import open_publication
from ops.sightings import open_sightings
from ops.whole_files import write_whole


def register(app: typer.Typer) -> None:
    app.command()(monitor)


def monitor(
    addresses: Annotated[list[str], typer.Argument(help="Where the log is served: http(s)://… or folders.")],
    root: Root = None,
    log_key: LogKey = None,
    state: Annotated[Path, typer.Option("--state", help="The folder of what was seen, one for each log.")] = Path(
        "pith-monitor"
    ),
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Put evidence of a fork here too, not only into --state.")
    ] = None,
    every: Annotated[float, typer.Option("--every", help="Seconds between two looks at an address.", min=0.05)] = 60,
    once: Annotated[bool, typer.Option("--once", help="Look once at each address, then end.")] = False,
    json: Json = False,
) -> int:
    """Follow a log: what it signs must continue all that it signed before. Ends with 1 once it does not."""
    if root and log_key:
        raise UsageError("give --root or --log-key, not both", cure="--root also follows the log to its next key")
    sources = {address: open_publication(address) for address in addresses}
    report = _Report(json=json)
    with open_sightings(state) as sightings:
        for path in sightings.evidence():
            report.remark(f"evidence of a fork was found before: {path}")
        watching = Monitor(sightings, root, log_key_of(log_key), now)
        for found in follow(watching.observe, sources, every, time.monotonic, time.sleep, random.random):
            for observation in found:
                report.show(observation)
                if observation.evidence and evidence:
                    write_whole(evidence, observation.evidence.read_bytes())
            statuses = {observation.status for observation in found}
            if statuses & {Status.fork, Status.failed}:
                return 1
            if once:
                return 2 if Status.unreachable in statuses else 0
    return 0


class _Report:
    """What was observed, a line each; people are not told again what they were just told."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._trust = ""
        self._told: dict[str, str] = {}

    def remark(self, text: str) -> None:
        if not self._json:
            say(text)

    def show(self, observation: Observation) -> None:
        if self._json:
            # Only ASCII, so that nothing an address says could steer a terminal.
            write_out(json_format.dumps(observation.facts()).encode() + b"\n")
            return
        if observation.trust != self._trust:
            self._trust = observation.trust
            say(observation.trust)
        if self._told.get(observation.address) != observation.message:
            self._told[observation.address] = observation.message
            say(f"{observation.time[:19]}Z  {observation.address}  {observation.message}")
        if observation.evidence:
            say(f"next  pith verify {observation.evidence}  (and give the file to others who rely on this log)")
