"""`python -m ops` is `pith`."""

from ops.cli import main

main()
