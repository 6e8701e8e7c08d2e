# mypy: ignore-errors
"""UmaDB: the server that its wheel brings, and its client over local gRPC.

Settings: `folder`, `events`, `filled`, `port`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from answering import Outcome, Pipe, Supply, read_events, timed
from umadb import Client, Event, Query, QueryItem

CALLERS = 16
BULK = 1_000
START_SECONDS = 30


def opened(address: str) -> Any:
    """Return a client once the server answers."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client = Client(address)
            client.head()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return client


def main() -> None:
    pipe = Pipe()
    folder, filled = Path(pipe.settings["folder"]), pipe.settings["filled"]
    listen = f"127.0.0.1:{pipe.settings['port']}"
    command = [str(Path(sys.executable).parent / "umadb"), "--listen", listen, "--db-path", str(folder / "uma.db")]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603
    try:
        serve(pipe, f"http://{listen}", filled)
    finally:
        server.terminate()
        server.wait()


def serve(pipe: Pipe, address: str, filled: int) -> None:
    client = opened(address)
    raws = read_events(pipe.settings["events"], 20_000)
    tags = [json.loads(raw)["subject_pith_number"] for raw in raws]
    events = Supply([Event("attested", raw, [tag]) for raw, tag in zip(raws, tags, strict=True)])
    while client.head() is None or client.head() < filled:
        client.append(events.take(BULK))
    clients = [Client(address) for _ in range(CALLERS)]

    def append(together: int) -> Any:
        def case(count: int) -> Outcome:
            taken = events.take(max(together, count))

            def call() -> int:
                for at in range(0, len(taken), together):
                    client.append(taken[at : at + together])
                return len(taken)

            return timed(call)

        return case

    def together(count: int) -> Outcome:
        taken = events.take(count)

        def call(number: int) -> int:
            part = taken[number::CALLERS]
            for event in part:
                clients[number].append([event])
            return len(part)

        with ThreadPoolExecutor(CALLERS) as callers:
            return timed(lambda: sum(callers.map(call, range(CALLERS))))

    def read(_count: int) -> Outcome:
        return timed(lambda: sum(1 for _ in client.read(start=1, limit=filled)))

    def by_tag(count: int) -> Outcome:
        def call() -> int:
            for at in range(count):
                query = Query([QueryItem(tags=[tags[at * 10 % min(filled, len(tags))]])])
                assert sum(1 for _ in client.read(query)) > 0
            return count

        return timed(call)

    cases = {"append one": append(1), "append together": together, "append bulk": append(BULK)}
    pipe.answer(f"UmaDB {version('umadb')}", {**cases, "read": read, "by tag": by_tag})


if __name__ == "__main__":
    main()
