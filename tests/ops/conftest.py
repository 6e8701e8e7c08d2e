"""What the tests of operations may ask for."""

from __future__ import annotations

from tests.ops.shared import kept_registry

__all__ = ["kept_registry"]
