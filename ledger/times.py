"""Writing a log's times: microseconds since 1970, UTC, as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_024)
def instant(received_at: int) -> str:
    """Write microseconds since 1970 as the public documents do: `2026-05-26T02:04:46.737796+00:00`."""
    return (_EPOCH + timedelta(microseconds=received_at)).isoformat(timespec="microseconds")


def seconds(microseconds: int) -> str:
    """Write microseconds since 1970 as envelopes do: `2026-05-26T02:04:46Z`."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
