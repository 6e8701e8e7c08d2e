"""Every command of `pith`, and what becomes of their errors."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.exceptions import TyperException

from ledger.errors import LedgerError, LogCorruptedError, ProjectionError, UsageError, VerificationError
from ops.cli import (
    INTERRUPTED,
    auditing,
    benchmarking,
    databases,
    following,
    holding,
    importing,
    keeping,
    logs,
    mirroring,
    moderating,
    policy,
    proving,
    reading,
    remote,
    replaying,
    serving,
    signing,
    tokens,
    witnessing,
    working,
)
from ops.cli.output import fail
from ops.cli.remote import Url
from ops.home import collect_rarely

app = typer.Typer(
    name="pith",
    help="Keep, read and verify a ledger of Pith Numbers and the attestations around them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    keeping,
    logs,
    importing,
    signing,
    reading,
    moderating,
    policy,
    proving,
    mirroring,
    replaying,
    auditing,
    serving,
    following,
    remote,
    witnessing,
    holding,
    working,
    tokens,
    databases,
    benchmarking,
):
    module.register(app)


@app.callback()
def choose(context: typer.Context, url: Url = None) -> None:
    """Remember which registry a command is to work on; raises UsageError where it cannot."""
    context.obj = remote.chosen(context.invoked_subcommand, url, os.environ)


def run(arguments: list[str]) -> int:
    """Run a command; print its error, if it has one, and return the exit status. Raises KeyboardInterrupt."""
    as_json = "--json" in arguments
    collect_rarely()
    try:
        status: Any = app(args=arguments, prog_name="pith", standalone_mode=False)
    except LedgerError as error:
        fail(error, as_json=as_json)
        return 1 if isinstance(error, VerificationError | LogCorruptedError | ProjectionError) else 2
    except typer.Exit as error:
        return error.exit_code
    except OSError as error:
        fail(UsageError(error.strerror or str(error), place=str(error.filename or "")), as_json=as_json)
        return 2
    except TyperException as error:
        fail(UsageError(error.format_message(), cure="see `pith COMMAND --help`"), as_json=as_json)
        return 2
    except typer.Abort:
        return INTERRUPTED
    return status if isinstance(status, int) else 0
