"""Streams of a server that is killed: its readers go on where they were once it is back."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from ledger.appending import Submission
from ops.home import now
from tests.api.registry import a_home
from tests.api.streaming import SECONDS, Reader, reached, whole_log
from tests.builders import ALICE, World
from tests.processes import module

KILLS = 3
BURST = 200


def started(folder: Path, port: int) -> tuple[subprocess.Popen[bytes], str]:
    process = module("tests.api.serving", folder, port)
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    assert address, process.communicate()
    return process, address


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def follow(reader: Reader, size: int) -> None:
    while len(reader.events) < size:
        with suppress(OSError, HTTPException):
            assert reader.connect().status == 200
            while len(reader.events) < size and reader.read(977):
                pass
        threading.Event().wait(0.02)  # the server may be down


def test_readers_of_a_killed_server_miss_and_double_nothing(tmp_path: Path) -> None:
    home = a_home(tmp_path, World())
    world = World()
    size = home.store.head().size + BURST * 2 * KILLS
    process, address = started(tmp_path, 0)
    port = urlsplit(address).port
    assert port is not None
    readers = [Reader(address) for _ in range(4)]
    threads = [threading.Thread(target=follow, args=(reader, size)) for reader in readers]
    try:
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            home.store.append([Submission(world.citation(ALICE), verified=True) for _ in range(BURST)], now)
            part = home.store.head().size - BURST // 2
            reached(lambda: any(len(reader.events) >= part for reader in readers))  # noqa: B023
            killed(process)
            home.store.append([Submission(world.citation(ALICE), verified=True) for _ in range(BURST)], now)
            process, _ = started(tmp_path, port)
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
    finally:
        killed(process)
        expected = whole_log(home.store)
        home.close()
    for reader in readers:
        assert reader.connected > KILLS
        assert reader.events == expected
