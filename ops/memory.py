"""How much memory a process has held at most."""

from __future__ import annotations

import resource
import sys

_UNITS_A_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


def peak_memory_mb() -> float:
    """Return the greatest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNITS_A_MB
