from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from ops.bench.cluster import Cluster


def test_the_server_is_durable_needs_a_password_and_leaves_nothing_behind() -> None:
    with Cluster() as server:
        url = server.create("one")
        with psycopg.connect(url, autocommit=True) as connection:
            settings = [
                connection.execute(f"SHOW {name}").fetchone()
                for name in ("fsync", "synchronous_commit", "full_page_writes")
            ]
            folder = connection.execute("SHOW data_directory").fetchone()
            connection.execute("CREATE TABLE kept (n int)")
        assert settings == [("on",)] * 3
        assert server.password not in repr(server)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=server.host, port=server.port, user=server.user, password="guessed", dbname="one")
        with psycopg.connect(server.create("one"), autocommit=True) as connection:
            assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
        process = server.process
    assert folder is not None
    assert not Path(folder[0]).parent.exists()
    assert not Path(f"/proc/{process}").exists()
