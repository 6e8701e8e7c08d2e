"""Who is measured: each contestant as the program that answers for it, with what it needs to start."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import UsageError
from ops.bench.machine import cores
from ops.bench.programs import Program
from ops.bench.results import Kind
from ops.bench.workshop import Workshop

PEERS: Final = Path(__file__).parent / "peers"
EXTRA: Final = "pip install 'pith-ledger[bench]'"

VERSIONS: Final[Mapping[str, str]] = {
    "hypercore": "11.37.1",
    "@event-driven-io/emmett-sqlite": "0.38.5",
    "@event-driven-io/emmett-postgresql": "0.42.0",
    "@did-plc/server": "0.0.1",
    "auditchain": "0.3.0",
    "nexuscone": "0.2.1",
    "tamperlog": "0.1.0",
    "provara-protocol": "1.0.3",
}
"""Of peers that the bench installs itself; those of the extra `bench` have theirs in pyproject.toml."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many events lie in the logs that are read: ours and those of fast peers, and those of slow ones."""

    log: int
    slow: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a comparison; `start` runs its program in a new folder."""

    name: str
    kind: Kind
    start: Callable[[Workshop, Path, Sizes], Program]
    on_server: bool = False
    """Whether it keeps its log in the PostgreSQL server of the run."""


def start(contestant: Contestant, workshop: Workshop, sizes: Sizes) -> Program:
    """Run a contestant's program; raises UsageError where something it needs is missing."""
    return contestant.start(workshop, workshop.scratch(contestant.name.replace(" ", "-").replace("/", "+")), sizes)


def _run(name: str, command: list[str], folder: Path, settings: Mapping[str, Any], cwd: Path | None = None) -> Program:
    return Program(name, command, {"folder": str(folder), **settings}, folder / "said", cwd)


def _ours(name: str, *, on_server: bool) -> Contestant:
    def start(workshop: Workshop, folder: Path, _sizes: Sizes) -> Program:
        url = workshop.server.create("pith_bench") if on_server else None
        settings = {"events": str(workshop.events), "url": url, "cores": cores()}
        return _run(name, [sys.executable, "-m", "ops.bench.appending"], folder, settings)

    return Contestant(name, "ours", start, on_server)


def reader(size: int | None = None) -> Contestant:
    """Return our reads of a registry of a size, by default the one that all other logs have too."""
    return _on_a_registry(f"pith at {size}" if size else "pith", "ops.bench.reading", size)


def _on_a_registry(name: str, module: str, size: int | None = None) -> Contestant:
    def start(workshop: Workshop, folder: Path, sizes: Sizes) -> Program:
        filled = size or sizes.log
        settings = {
            "registry": str(workshop.registry(filled)),
            "events": str(workshop.events),
            "start": filled,
            "cores": cores(),
        }
        return _run(name, [sys.executable, "-m", module], folder, settings)

    return Contestant(name, "ours", start)


def _over_http(_workshop: Workshop, folder: Path, _sizes: Sizes) -> Program:
    return _run("pith over HTTP", [sys.executable, "-m", "ops.bench.http"], folder, {})


def _bare(workshop: Workshop, folder: Path, _sizes: Sizes) -> Program:
    settings = {"signatures": str(workshop.signatures), "cores": cores()}
    return _run("bare", [sys.executable, str(PEERS / "bare.py")], folder, settings)


def _library(name: str, program: str, *, on_server: bool = False, **further: Any) -> Contestant:
    """Return a peer from the extra `bench`, which runs in our own interpreter."""

    def start(workshop: Workshop, folder: Path, sizes: Sizes) -> Program:
        settings = {"events": str(workshop.events), "filled": sizes.log, **further}
        if on_server:
            for log in ("growing", "full"):
                workshop.server.create(f"aggregates_{log}")
            settings["postgresql"] = workshop.server.named("aggregates")
        if "port" in further:
            settings["port"] = _free_port()
        try:
            return _run(name, [sys.executable, str(PEERS / program)], folder, settings)
        except UsageError as error:
            if "ModuleNotFoundError" in error.cure:
                raise UsageError(f"{name} is not installed", cure=EXTRA) from None
            raise

    return Contestant(name, "peer", start, on_server)


def _small(library: str) -> Contestant:
    def start(workshop: Workshop, folder: Path, sizes: Sizes) -> Program:
        python = workshop.python(library, VERSIONS[library], "[ed25519]" if library == "auditchain" else "")
        settings = {"events": str(workshop.events), "filled": sizes.slow, "library": library}
        return _run(library, [str(python), str(PEERS / "small.py")], folder, settings)

    return Contestant(library, "peer", start)


def _node(
    name: str, package: str, program: str, *, database: str = "", is_slow: bool = False, **further: Any
) -> Contestant:
    def start(workshop: Workshop, folder: Path, sizes: Sizes) -> Program:
        installed = workshop.node(package, VERSIONS[package])
        settings = {"events": str(workshop.events), "filled": sizes.slow if is_slow else sizes.log, **further}
        if database:
            settings["url"] = workshop.server.create(database)
        return _run(name, ["node", str(PEERS / program)], folder, settings, installed)

    return Contestant(name, "peer", start, bool(database))


EMMETT: Final = "@event-driven-io/emmett"

CONTESTANTS: Final[Mapping[str, Contestant]] = {
    contestant.name: contestant
    for contestant in (
        _ours("pith on SQLite", on_server=False),
        _ours("pith on PostgreSQL", on_server=True),
        reader(),
        _on_a_registry("pith, step by step", "ops.bench.steps"),
        Contestant("pith over HTTP", "ours", _over_http),
        Contestant("bare", "limit", _bare),
        _library("eventsourcing on SQLite", "aggregates.py", postgresql=None),
        _library("eventsourcing on PostgreSQL", "aggregates.py", on_server=True),
        _library("UmaDB", "umadb_log.py", port=0),
        _library("pymerkle in SQLite", "pymerkle_tree.py", tree="sqlite"),
        _library("pymerkle in memory", "pymerkle_tree.py", tree="memory"),
        _node("hypercore", "hypercore", "hypercore.js"),
        _node("emmett on SQLite", f"{EMMETT}-sqlite", "emmett.js", is_slow=True, store="sqlite"),
        _node(
            "emmett on PostgreSQL",
            f"{EMMETT}-postgresql",
            "emmett.js",
            database="emmett",
            is_slow=True,
            store="postgresql",
        ),
        _node("did-plc", "@did-plc/server", "plc.js", database="plc", is_slow=True),
        *(_small(library) for library in ("auditchain", "nexuscone", "provara-protocol", "tamperlog")),
    )
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
