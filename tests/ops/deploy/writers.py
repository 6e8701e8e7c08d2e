"""A server's writing half as a process: `python -m tests.ops.deploy.writers SEED`, with PITH_DATABASE_URL set.

Several threads submit to one batcher, each one event after the other, and the same one until it is acknowledged. A
line of JSON tells of each answer: `["stored", event id, position, received_at]` or `["refused", class, cure, text]`.
Once its input ends, it asks for what it has begun until that is acknowledged, and ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from ledger.appending import Submission
from ledger.batcher import Batcher
from ledger.database import open_postgresql
from ledger.errors import LedgerError
from ledger.events import Event
from ledger.store import Store
from tests.builders import World, nonce
from tests.logs import Ticking

SCHEMA: Final = "pith_log"
THREADS: Final = 3
PAUSE_SECONDS: Final = 0.2


def main() -> None:
    store = Store(open_postgresql(os.environ["PITH_DATABASE_URL"], SCHEMA))
    seed = sys.argv[1]
    ended = threading.Event()
    telling = threading.Lock()

    def tell(*facts: object) -> None:
        with telling:
            print(json.dumps(facts), flush=True)

    with Batcher(store, Ticking()) as batcher:
        makers = [
            threading.Thread(target=_write, args=(batcher, f"{seed}.{number}", ended, tell))
            for number in range(THREADS)
        ]
        for maker in makers:
            maker.start()
        sys.stdin.read()
        ended.set()
        for maker in makers:
            maker.join()


def _write(batcher: Batcher, name: str, ended: threading.Event, tell: Callable[..., None]) -> None:
    world, number = World(), 0
    while not ended.is_set():
        number += 1
        _until_stored(batcher, world.author(claims=[name, nonce(number)]), tell)


def _until_stored(batcher: Batcher, event: Event, tell: Callable[..., None]) -> None:
    between = threading.Event()
    while True:
        try:
            entry = batcher.submit(Submission(event)).result().entry
        except LedgerError as error:
            tell("refused", type(error).__name__, error.cure, str(error))
            between.wait(PAUSE_SECONDS)
        else:
            tell("stored", event.id_text, entry.position, entry.received_at)
            return


if __name__ == "__main__":
    main()
