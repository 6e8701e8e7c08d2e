"""SeaweedFS, a real object store, run as a program of its own: from PyPI, so no test ever skips for want of it."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from ops.services import Bucket

WEED: Final = Path(sys.executable).with_name("weed")
ACCESS_KEY: Final = "AKIDTESTS"
SECRET_KEY: Final = "a-secret-between-the-tests-and-their-store"
START_SECONDS: Final = 120
TRIES: Final = 3
_IDENTITIES: Final = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


class _NotStartedError(Exception):
    """It ended, such as when one of its ports was taken in between."""


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A running store."""

    endpoint: str
    process: subprocess.Popen[bytes]
    _names: Iterator[int] = field(default_factory=itertools.count)

    def client(self) -> Any:
        """Return a client that may do anything: what stands between a store and its content is not ours alone."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                signature_version="s3v4",
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                connect_timeout=10,
                read_timeout=60,
            ),
        )

    def bucket(self, retain_days: int = 0, *, lock: bool = True) -> Bucket:
        """Make a bucket of its own, with object lock if asked for; returns its settings."""
        name = f"copies-{next(self._names)}"
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        return Bucket("weed", self.endpoint, name, "us-east-1", ACCESS_KEY, SECRET_KEY, retain_days)


@contextmanager
def seaweed(folder: Path) -> Iterator[SeaweedFS]:
    """Run a store with its data in a folder, until the end of the block."""
    for attempt in range(TRIES):
        with ExitStack() as cleaning:
            try:
                found = _started(folder / str(attempt), cleaning)
            except _NotStartedError:
                if attempt == TRIES - 1:
                    raise
                continue
            yield found
            return


def _started(folder: Path, cleaning: ExitStack) -> SeaweedFS:
    folder.mkdir(parents=True)
    config = folder / "identities.json"
    config.write_text(json.dumps(_IDENTITIES))
    names = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(names))
    command = [
        str(WEED),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        *(f"-{name}.port={ports.pop()}" for name in names[:-1]),
        *(f"-{name}.port.grpc={ports.pop()}" for name in names),
        f"-s3.port={ports[0]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=1000",  # every bucket takes some
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    cleaning.callback(_end, process)
    found = SeaweedFS(f"http://127.0.0.1:{ports[0]}", process)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _try(found.client())
        except (ClientError, BotoCoreError):
            said = (folder / "log").read_text(errors="replace")[-2_000:]
            if process.poll() is not None:
                raise _NotStartedError(said) from None
            assert time.monotonic() < deadline, f"SeaweedFS did not start: {said}"
            time.sleep(0.1)
            continue
        return found


def _try(client: Any) -> None:
    """Store something: the store answers long before it can."""
    client.create_bucket(Bucket="ready")
    client.put_object(Bucket="ready", Key="ready", Body=b"ready")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # nothing of it is kept
    process.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        free = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in free]
