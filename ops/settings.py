"""Settings: one frozen object, read once from the environment (`PITH_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ledger.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data is, under which address it is shown, and which witnesses must cosign."""

    data: Path
    base_url: str
    witness_policy: Path | None = None

    @property
    def ledger_path(self) -> Path:
        return self.data / "ledger.db"

    @property
    def projections_path(self) -> Path:
        return self.data / "projections.db"

    @property
    def private_path(self) -> Path:
        """What the registry knows about people and must be able to forget; never exported."""
        return self.data / "private.db"

    @property
    def followed_path(self) -> Path:
        """The checkpoint that a mirror is at or on the way to; only a mirror has this file."""
        return self.data / "following"

    @property
    def signed_path(self) -> Path:
        """The newest checkpoint this registry signed, kept outside its database."""
        return self.data / "signed"

    @property
    def keys(self) -> Path:
        return self.data / "keys"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    `PITH_DATA` is the data folder (default `.pith`), `PITH_BASE_URL` the public address of the registry
    (default `http://127.0.0.1:8080`), `PITH_WITNESS_POLICY` a file (C2SP tlog-policy) that says which witnesses
    must cosign a checkpoint before it is published (default: none).

    Raises:
        UsageError: a value that cannot be meant.
    """
    base_url = environment.get("PITH_BASE_URL", "http://127.0.0.1:8080").rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{base_url!r} is no address", place="PITH_BASE_URL", cure="give https://HOST")
    policy = environment.get("PITH_WITNESS_POLICY")
    return Settings(Path(environment.get("PITH_DATA", ".pith")), base_url, Path(policy) if policy else None)
