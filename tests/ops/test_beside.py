"""Processes beside a server: ended with it, by whatever way, and started again when they end by themselves."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Pith, module

PATIENCE = 60.0


def until(is_so: Callable[[], bool]) -> bool:
    """Wait for something to become so; say whether it did in time."""
    deadline = time.monotonic() + PATIENCE
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.fixture
def pith(tmp_path: Path) -> Pith:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    return pith


def a_worker(pith: Pith) -> subprocess.Popen[bytes]:
    """Start a worker as a server does; return it once it works."""
    process = module("ops", "work", "--with-parent", PITH_DATA=str(pith.data))
    assert process.stderr is not None and b"working on" in process.stderr.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_worker_that_waits_for_its_parents_end_is_ended_by_a_signal_cleanly(pith: Pith, number: int) -> None:
    process = a_worker(pith)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert b"Fatal" not in said and b"Traceback" not in said


def test_a_worker_ends_with_its_parent(pith: Pith) -> None:
    process = a_worker(pith)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE) == 0


def test_a_mirror_has_nothing_to_work_on(pith: Pith, tmp_path: Path) -> None:
    exported, mirror = tmp_path / "export", tmp_path / "mirror"
    pith.fine("export", exported)
    pith.fine("mirror", exported, mirror)
    done = Pith.at(mirror)("serve", "--work", "--port", "0")
    assert (done.code, done.crashed) == (2, False) and "this is a mirror" in done.err


def test_files_of_a_log_owe_nothing(pith: Pith, tmp_path: Path) -> None:
    pith.fine("export", tmp_path / "export")
    done = pith("serve", "--work", "--folder", tmp_path / "export", "--port", "0")
    assert done.code == 2 and "--work" in done.err
