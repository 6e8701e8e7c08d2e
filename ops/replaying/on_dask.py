"""Ranges on a Dask cluster (https://docs.dask.org/): that of a scheduler, or one of processes on this machine.

The cluster's workers need this product in the same release, and the log: a file under the same path, or PostgreSQL by
an address in their own environment. What goes over the network are positions, hashes and what the projections say.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from ledger.errors import StoreError, UsageError
from ledger.ranges import Range
from ops.replaying.engines import DEATHS, WINDOW
from ops.replaying.places import Place
from ops.replaying.work import Done, Job, RangeWork

T = TypeVar("T")


class Dask:
    """A cluster's workers.

    Args:
        workers: how many processes a cluster on this machine has.
        scheduler: the address of another cluster's; "" starts one on this machine for as long as it is needed.
    """

    def __init__(self, place: Place, workers: int, scheduler: str = "") -> None:
        self._place = place
        self._workers = workers
        self._scheduler = scheduler

    def run(self, job: Job, ranges: Iterable[Range]) -> Iterator[Done]:
        """Yield what became of each range, in their order.

        Raises:
            UsageError: Dask is not installed, or no scheduler answers.
            StoreError: workers died several times over the same range.
        """
        with ExitStack() as stack:
            client = connected(stack, self._workers, self._scheduler)
            yield from on_cluster(client, RangeWork(self._place, job), ranges)


def on_cluster(client: Any, work: Callable[[Range], T], ranges: Iterable[Range]) -> Iterator[T]:
    """Do some work for each range on the workers of a `distributed.Client`; yield the results in order."""
    from distributed.scheduler import KilledWorker

    waiting = iter(ranges)
    under_way: deque[tuple[Range, Any]] = deque()
    try:
        while True:
            most = WINDOW * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            while len(under_way) < most and (within := next(waiting, None)) is not None:
                under_way.append((within, client.submit(work, within, pure=False)))
            if not under_way:
                return
            within, future = under_way[0]
            try:
                result: T = future.result()
            except KilledWorker:
                raise StoreError(
                    f"{DEATHS} workers of the cluster were killed over positions {within.start} to {within.stop - 1}",
                    cure="see the workers' logs, and whether memory is short there",
                ) from None
            under_way.popleft()
            yield result
    finally:
        client.cancel([future for _, future in under_way])


def connected(stack: ExitStack, workers: int, scheduler: str) -> Any:
    """Return a client of the cluster of a scheduler, or of one started here for as long as `stack` is open.

    Whoever can speak to a cluster can have it run anything, with this user's keys at hand. So the one here is spoken to
    over TLS alone, by certificates that only this process and its workers have.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers.
    """
    try:
        import dask
        import distributed
    except ImportError:
        raise UsageError("Dask is not installed", place="--engine", cure="pip install 'pith-ledger[dask]'") from None
    connect: Any = distributed.Client
    start: Any = distributed.LocalCluster
    stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": DEATHS - 1}))
    if scheduler:
        try:
            return stack.enter_context(connect(scheduler, timeout="5s", set_as_default=False))
        except (OSError, ValueError) as error:
            cure = "give the address that `dask scheduler` prints, such as tcp://10.0.0.1:8786"
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise UsageError(f"no scheduler answers: {reason}", place="--scheduler", cure=cure) from error
    cluster = start(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address=None,
        host="127.0.0.1",
        protocol="tls://",
        security=True,
        silence_logs=logging.CRITICAL,
    )
    stack.enter_context(cluster)
    return stack.enter_context(connect(cluster, set_as_default=False))
