# mypy: ignore-errors
"""The library `eventsourcing`: aggregates of one event each, its notification log pulled and folded.

Settings: `folder`, `events`, `filled` (events in the log that is replayed), and `postgresql` (host, port, user,
password, database) or null for its SQLite recorder.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

from answering import Outcome, Pipe, Supply, read_events, timed
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

CALLERS = 16
PAGE = 1_000
BULK = 1_000


class Record(Aggregate):
    @event("Attested")
    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload


class Records(Application):
    pass


class View(POPOTrackingRecorder):
    """What is current of each subject, in memory, with the position it was read up to."""

    def put(self, tracking: Any, subject: str, payload: dict[str, Any]) -> None:
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self.__dict__.setdefault("current", {})[subject] = payload


class Folding(Projection):
    name = "folding"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Any) -> None:
        pass

    @process_event.register
    def attested(self, domain_event: Record.Attested, tracking: Any) -> None:
        self.view.put(tracking, domain_event.payload["subject_pith_number"], domain_event.payload)


def environment(settings: dict[str, Any], log: str) -> dict[str, str]:
    """Say where a log of its own lies; only tables part two logs in one database."""
    server = settings["postgresql"]
    if server is None:
        path = os.path.join(settings["folder"], f"{log}.db")
        return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
    names = {f"POSTGRES_{name.upper()}": str(server[name]) for name in ("host", "port", "user", "password")}
    return {**names, "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": f"{server['database']}_{log}"}


def save(application: Records, payloads: list[dict[str, Any]], together: int) -> int:
    for at in range(0, len(payloads), together):
        application.save(*[Record(payload=payload) for payload in payloads[at : at + together]])
    return len(payloads)


def pull(application: Records) -> int:
    """Read the log page by page, rebuild every event, and keep what is current of each subject in a dict."""
    current: dict[str, Any] = {}
    start = count = 0
    while page := application.recorder.select_notifications(start + 1, PAGE):
        for notification in page:
            payload = application.mapper.to_domain_event(notification).payload
            current[payload["subject_pith_number"]] = payload
        start, count = page[-1].id, count + len(page)
    return count


def main() -> None:
    pipe = Pipe()
    settings, filled = pipe.settings, pipe.settings["filled"]
    payloads = Supply([json.loads(raw) for raw in read_events(settings["events"], 20_000)])
    growing = Records(env=environment(settings, "growing"))
    full = Records(env=environment(settings, "full"))
    save(full, payloads.take(filled), BULK)
    ids = [notification.originator_id for notification in full.recorder.select_notifications(1, min(filled, PAGE))]

    def append(together: int) -> Any:
        def case(count: int) -> Outcome:
            taken = payloads.take(max(together, count))
            return timed(lambda: save(growing, taken, together))

        return case

    def together(count: int) -> Outcome:
        taken = payloads.take(count)
        parts = [taken[at::CALLERS] for at in range(CALLERS)]
        with ThreadPoolExecutor(CALLERS) as callers:
            return timed(lambda: sum(callers.map(lambda part: save(growing, part, 1), parts)))

    def get(count: int) -> Outcome:
        started = time.perf_counter()
        for at in range(count):
            full.repository.get(ids[at % len(ids)])
        return count, time.perf_counter() - started

    def follow(_count: int) -> Outcome:
        env = {**environment(settings, "full"), "FOLDING_PERSISTENCE_MODULE": "eventsourcing.popo"}
        started = time.perf_counter()
        with ProjectionRunner(application_class=Records, projection_class=Folding, view_class=View, env=env) as runner:
            runner.wait(filled, timeout=600)
            return filled, time.perf_counter() - started

    pipe.answer(
        f"eventsourcing {version('eventsourcing')}",
        {
            "append one": append(1),
            "append together": together,
            "append bulk": append(BULK),
            "pull": lambda _: timed(lambda: pull(full)),
            "follow": follow,
            "get": get,
        },
    )


if __name__ == "__main__":
    main()
