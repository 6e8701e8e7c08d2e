"""`work`, `jobs`, `anchor`: what a registry owes to outside clocks and archives, done and shown."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ledger.errors import UsageError
from ops.cli.output import Json, opened, say, tell
from ops.ending import end_at_signals
from ops.home import Home
from ops.services_file import read_services

if TYPE_CHECKING:
    from ops.jobs.leases import Lease
    from ops.jobs.work import Job, Work

PATIENCE_SECONDS: Final = 90.0
"""How long `anchor` waits for a worker that is at the same work."""

LOOK_SECONDS: Final = 0.2
_LOG: Final = logging.getLogger(__name__)

Jobs = Annotated[list[str] | None, typer.Option("--job", help="Only this job; may be repeated.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    app.command()(work)
    app.command()(jobs)
    app.command()(anchor)


def work(
    once: Annotated[bool, typer.Option("--once", help="Do what is owed now, and end.")] = False,
    job: Jobs = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", help="End when standard input is closed.")] = False,
    json: Json = False,
) -> int:
    """Do what the registry owes: checkpoints, anchors, copies; until interrupted. Several workers do no harm."""
    # Imported here, as below, so that no other command waits for the scheduler and the HTTP client.
    from api.front.logs import configure_logging
    from ops.jobs.services_watch import ServicesWatch
    from ops.jobs.working import Renewed, all_jobs, keep_working, named_jobs, outside_of, work_once

    with opened() as home, _opened_work(home) as (found, every_job):
        chosen = named_jobs(every_job, job or [])
        if once:
            outcomes = work_once(found, chosen)
            rows = [{"job": name, "outcome": ran.outcome, "said": ran.said} for name, ran in outcomes.items()]
            if json:
                tell(rows)
            else:
                say(*(f"{row['job']:12} {row['outcome'] or 'nothing to do'}  {row['said']}".rstrip() for row in rows))
            return 1 if any(row["outcome"] == "failed" for row in rows) else 0
        configure_logging(sys.stderr, json=json or not sys.stderr.isatty())
        end_at_signals(found.stopped.set)
        if with_parent:
            from ops.beside import end_with_parent

            end_with_parent(found.stopped.set)
        working = f"working on {home.store.registry_name}: {', '.join(one.name for one in chosen)}"
        if with_parent:
            _LOG.info(working)  # its output is the parent's
        else:
            say(working)
        watch = ServicesWatch(home.settings.services_path, found.services)

        def renewed() -> Renewed | None:
            services = watch.changed()
            if services is None:
                return None
            return services, named_jobs(all_jobs(services, outside_of(replace(found, services=services))), job or [])

        has_ended = keep_working(found, chosen, renewed)
    if not has_ended:
        # What is under way waits for somebody else; as after a kill, the next worker takes it up.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def jobs(json: Json = False) -> None:
    """Show each job's last and next run, what is owed and why it waits, and how the services answer."""
    from ops.jobs.telling import facts
    from ops.jobs.telling_lines import lines

    with opened() as home, _opened_work(home) as (found, every_job):
        told = facts(found, every_job)
    if json:
        tell(told)
    else:
        say(*lines(told))


def anchor(
    subject: Annotated[
        str | None, typer.Argument(help="A paper, to stamp its record; without it, the newest checkpoint.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take up again what was given up.")] = False,
    json: Json = False,
) -> int:
    """Have outside clocks stamp the newest checkpoint, or one paper's record, now; ask what became of promises."""
    from ops.jobs.anchoring.by_hand import anchor_checkpoint, anchor_record
    from ops.jobs.telling import advice

    with opened() as home, _opened_work(home) as (found, _):
        if not found.services.anchoring.clocks:
            raise UsageError(
                "no timestamp service is configured",
                place=str(home.settings.services_path),
                cure="`pith jobs` shows what to write there",
            )
        with _taken(found, "stamp" if subject else "anchor") as first, _taken(found, "upgrade") as second:
            if subject:
                rows = anchor_record(found, first, second, subject, again=again)
            else:
                rows = anchor_checkpoint(found, first, second, again=again)
        told = advice(found)
    if json:
        tell(rows)
    else:
        # What stands in a row as its reason needs no second telling.
        said = {row["said"] for row in rows}
        say(*(_line(row) for row in rows), *(line for line in told if line not in said))
    return 0 if any(row["state"] in ("pending", "confirmed") for row in rows) else 1


def _line(row: dict[str, Any]) -> str:
    said = f": {row['said']}" if row["said"] else ""
    what = f"checkpoint of {row['tree_size']}" if row["tree_size"] is not None else row["subject"] or "checkpoint"
    return f"{row['service']}  {what}  {row['state']}{said}"


@contextmanager
def _opened_work(home: Home) -> Iterator[tuple[Work, list[Job]]]:
    from ops.jobs.working import all_jobs, opened_work, outside_of

    services = read_services(home.settings.services_path)
    with opened_work(home, services) as found:
        yield found, all_jobs(services, outside_of(found))


@contextmanager
def _taken(found: Work, name: str) -> Iterator[Lease]:
    """Hold a job's lease, after waiting for a worker that holds it; raises UsageError where that takes too long."""
    lease = found.lease(name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not lease.take():
        if time.monotonic() > deadline:
            raise UsageError(f"another worker has been at {name} for long", cure="see `pith jobs`, and try again")
        found.stopped.wait(LOOK_SECONDS)
    try:
        yield lease
    finally:
        lease.release()
