from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.bench.programs import Program

ANSWERING = """
import json, sys
settings = json.loads(sys.stdin.readline())
print(json.dumps({"ready": True, "version": settings["version"]}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    if task["case"] == "fail":
        print(json.dumps({"error": "it cannot"}), flush=True)
    elif task["case"] == "die":
        sys.stderr.write("first\\nthe last thing it said\\n")
        sys.exit(3)
    elif task["case"] == "babble":
        print("Loading 100 %", flush=True)
    else:
        print(json.dumps({"operations": task["count"], "seconds": 0.5, "facts": {"p50_ms": 1}}), flush=True)
"""


def program(folder: Path, source: str = ANSWERING, **settings: str) -> Program:
    return Program("peer", [sys.executable, "-c", source], {"version": "1.2", **settings}, folder / "said")


def test_a_program_does_what_it_is_asked(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        assert running.version == "1.2"
        for count in (3, 4):
            answer = running.ask("append", count)
            assert (answer.operations, answer.seconds, answer.facts) == (count, 0.5, {"p50_ms": 1})


@pytest.mark.parametrize(
    ("case", "reason", "cure"),
    [("fail", "it cannot", ""), ("die", "it has ended", "the last thing it said"), ("babble", "Loading 100 %", "")],
)
def test_what_became_of_a_program_is_named(tmp_path: Path, case: str, reason: str, cure: str) -> None:
    with program(tmp_path) as running, pytest.raises(UsageError, match=reason) as caught:
        running.ask(case)
    assert caught.value.message.startswith("peer failed")
    assert caught.value.cure == cure


def test_a_program_that_never_gets_ready_is_refused_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it has ended") as caught:
        program(tmp_path, "import no_such_library")
    assert "ModuleNotFoundError" in caught.value.cure


def test_a_missing_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        Program("peer", [str(tmp_path / "absent")], {}, tmp_path / "said")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux shows what others were started with")
def test_settings_stand_where_no_other_user_can_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITH_DATABASE_URL", "postgresql://u:hidden@h/d")
    with program(tmp_path, password="hidden") as running:
        seen = [Path(f"/proc/{running.process}/{name}").read_bytes() for name in ("cmdline", "environ")]
        assert not any(b"hidden" in one for one in seen)


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    source = ANSWERING.replace("import json, sys", "import json, subprocess, sys").replace(
        "settings = json.loads(sys.stdin.readline())",
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "settings = {'version': str(child.pid)}\nsys.stdin.readline()",
    )
    with program(tmp_path, source) as running:
        child = Path(f"/proc/{running.version}")
        assert child.exists()
    end = time.monotonic() + 30
    with suppress(OSError):  # which is what looking gives once it is gone
        while " Z " not in (child / "stat").read_text():
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_program_ends_with_its_block(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        number = running.process
        running.ask("append", 1)
    assert not Path(f"/proc/{number}").exists()
