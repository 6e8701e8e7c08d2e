"""The command `pith`.

Exit status: 0 fine, 1 a check failed (its step is named), 2 bad input or usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.exceptions import TyperException

from ledger.errors import LedgerError, LogCorruptedError, ProjectionError, UsageError, VerificationError
from ops.cli import (
    auditing,
    following,
    holding,
    importing,
    keeping,
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
):
    module.register(app)


@app.callback()
def choose(context: typer.Context, url: Url = None) -> None:
    """Remember which registry a command is to work on; raises UsageError where it cannot."""
    context.obj = remote.chosen(context.invoked_subcommand, url, os.environ)


INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run `pith`; every error ends here as one message that says what is wrong, where and what to do."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    collect_rarely()
    try:
        status: Any = app(args=arguments, prog_name="pith", standalone_mode=False)
    except LedgerError as error:
        fail(error, as_json=as_json)
        sys.exit(1 if isinstance(error, VerificationError | LogCorruptedError | ProjectionError) else 2)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except OSError as error:
        fail(UsageError(error.strerror or str(error), place=str(error.filename or "")), as_json=as_json)
        sys.exit(2)
    except TyperException as error:
        fail(UsageError(error.format_message(), cure="see `pith COMMAND --help`"), as_json=as_json)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        _say_interrupted()
        sys.exit(INTERRUPTED)
    if status == INTERRUPTED:
        _say_interrupted()
    sys.exit(status if isinstance(status, int) else 0)


def _say_interrupted() -> None:
    sys.stderr.write("interrupted; what was acknowledged is kept, run the same command again to go on\n")
