"""Worker processes: results in order, few under way, and none lost when a worker is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.ranges import Range, ranges
from ops.replaying.engines import WINDOW, in_processes
from tests.ops.replaying.hands import KilledAlways, KilledOnce, Named, echo
from tests.processes import module

RANGES = list(ranges(20 * 256, 1))
STARTS = [within.start for within in RANGES]
SECONDS = 60.0


def test_results_come_in_the_order_of_the_ranges() -> None:
    assert list(in_processes(echo, RANGES, 2)) == STARTS


def test_no_more_ranges_are_asked_for_than_are_under_way() -> None:
    asked: list[int] = []

    def asking() -> Iterator[Range]:
        for within in RANGES:
            asked.append(within.start)
            yield within

    found = in_processes(echo, asking(), 2)
    ahead = [len(asked) - done for done, _ in enumerate(found)]
    assert max(ahead) <= 2 * WINDOW


@pytest.mark.parametrize("at", [0, 7 * 256, 19 * 256])
def test_a_worker_killed_in_a_range_costs_no_result(tmp_path: Path, at: int) -> None:
    assert list(in_processes(KilledOnce(str(tmp_path), at), RANGES, 2)) == STARTS
    assert (tmp_path / str(at)).exists()


def test_a_range_that_kills_every_worker_is_named() -> None:
    found: list[int] = []
    with pytest.raises(StoreError, match="positions 1280 to 1535") as caught:
        found.extend(in_processes(KilledAlways(1_280), RANGES, 2))
    assert "--workers" in caught.value.cure


def alive(folder: Path) -> set[int]:
    """Return the processes that left their numbers in a folder and still run."""
    found = {int(path.name.partition(".")[2]) for path in folder.iterdir()}
    return {pid for pid in found if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, ending: signal.Signals) -> None:
    process = module("tests.ops.replaying.hands", tmp_path)
    assert process.stdout is not None
    for _ in range(4):
        process.stdout.readline()
    assert alive(tmp_path)
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # as a terminal does: to all of them
    else:
        process.kill()
    process.communicate(timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while alive(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alive(tmp_path) == set()


def test_a_loop_over_results_that_is_left_stops_the_workers(tmp_path: Path) -> None:
    found = in_processes(Named(str(tmp_path)), RANGES, 2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert alive(tmp_path) == set()
    assert len(list(tmp_path.iterdir())) < len(RANGES)
