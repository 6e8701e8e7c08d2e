from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from ops.bench.groups import NAMES
from ops.bench.results import write_run
from ops.cli.commands import run as pith
from tests.ops.bench.runs import group, row, run


def test_groups_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert pith(["bench", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(NAMES)


def test_an_unknown_group_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert pith(["bench", "--only", "sorting"]) == 2
    assert "growth" in capsys.readouterr().err


def test_a_resumed_run_writes_what_was_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(group("limits", row("verify-all", 100), title="What the machine can do"))
    write_run(tmp_path / "run-quick.json", found)
    targets = [tmp_path / name for name in ("all.json", "all.md", "all.svg")]
    wanted = ["--json", str(targets[0]), "--markdown", str(targets[1]), "--svg", str(targets[2])]
    where = ["--quick", "--resume", "--only", "limits", "--folder", str(tmp_path)]
    assert pith(["bench", *where, *wanted]) == 0
    assert "What the machine can do" in capsys.readouterr().out
    assert msgspec.json.decode(targets[0].read_bytes())["groups"][0]["name"] == "limits"
    assert "**What the machine can do**" in targets[1].read_text()
    assert ElementTree.parse(targets[2]).getroot().tag.endswith("svg")


def below(process: int) -> set[int]:
    """Return the processes that a process has started, and those that these have."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells whose child a process is")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_no_scratch_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ops", "bench", "--quick", "--only", "limits", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("bare gets ready"):
                break
        while len(below(process.pid)) < 2:  # those that sign the events
            assert process.poll() is None
            time.sleep(0.02)
        started = below(process.pid)
        process.send_signal(number)
        process.stderr.read()
        assert process.wait(60) == 130
    assert list(tmp_path.glob("run-*")) == []
    end = time.monotonic() + 30
    while alive := {one for one in started if Path(f"/proc/{one}").exists()}:
        assert time.monotonic() < end, alive
        time.sleep(0.05)
