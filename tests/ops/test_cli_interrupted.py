"""An interrupt ends `pith` with one line, however early it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT, environment

INTERRUPTED_IMPORT = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
sys.argv = ["pith", "work"]
"""
STARTS = {
    "module": "import runpy; runpy.run_module('ops', run_name='__main__')",
    "console entry": "from ops.cli import main; main()",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
@pytest.mark.parametrize("name", ["typer", "sqlalchemy", "ops.jobs.working"])
def test_an_interrupt_while_modules_are_read_ends_without_a_traceback(start: str, name: str) -> None:
    """What Ctrl-C raises in the first second, at a place that is the same each time."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.format(name=name) + start],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130, done
    assert done.stdout == ""
    assert done.stderr == "interrupted; what was acknowledged is kept, run the same command again to go on\n"
