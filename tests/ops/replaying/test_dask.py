"""Replays on Dask clusters: with a worker killed in the middle, by the command, and where no scheduler answers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from distributed import Client, Security

from ops.replaying.on_dask import connected
from tests.ops.homes import a_line, as_lines
from tests.ops.replaying.courses import crowded
from tests.processes import Pith, module

SECONDS = 150


@pytest.fixture(scope="module")
def pith(tmp_path_factory: pytest.TempPathFactory) -> Pith:
    """A registry of three papers."""
    folder = tmp_path_factory.mktemp("registry")
    pith = Pith.at(folder / "data")
    pith.fine("init", "clustered.registry")
    (folder / "papers.jsonl").write_bytes(as_lines(map(a_line, range(3))))
    pith.fine("import", folder / "papers.jsonl")
    return pith


def test_a_killed_worker_changes_no_result(tmp_path: Path) -> None:
    crowded(tmp_path).checkpoint()
    marks = tmp_path / "marks"
    marks.mkdir()
    process = module("tests.ops.replaying.clustering", tmp_path / "log.sqlite", marks)
    out, err = process.communicate(timeout=SECONDS)
    assert out.split() == [b"True"] * 3, err.decode()[-3_000:]


def test_a_cluster_is_started_for_the_command_where_no_scheduler_is_named(pith: Pith) -> None:
    clustered, alone = (
        pith.fine("replay", "--json", *engine).json for engine in (["--engine", "dask", "--workers", "2"], [])
    )
    assert (clustered["state_digest"], clustered["checks"]) == (alone["state_digest"], alone["checks"])


def test_nobody_else_can_have_the_cluster_of_a_command_run_anything() -> None:
    with ExitStack() as stack:
        client = connected(stack, 1, "")
        assert client.submit(abs, -1).result(timeout=SECONDS) == 1
        address = client.scheduler.address.partition("://")[2]
        for protocol, security in (("tcp", None), ("tls", Security.temporary())):
            with pytest.raises(OSError):
                Client(f"{protocol}://{address}", timeout="2s", security=security, set_as_default=False)


def test_a_scheduler_that_does_not_answer_is_an_error_in_words(pith: Pith) -> None:
    result = pith("replay", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert result.code == 2 and not result.crashed
    assert "no scheduler answers" in result.err and "--scheduler" in result.err
