"""The command `pith`.

Exit status: 0 fine, 1 a check failed (its step is named), 2 bad input or usage, 130 interrupted.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run `pith`; every error ends here as one message that says what is wrong, where and what to do."""
    try:
        # Imported here, since that takes long enough to be interrupted.
        from ops.cli.commands import run

        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED:
        sys.stderr.write("interrupted; what was acknowledged is kept, run the same command again to go on\n")
    sys.exit(status)
