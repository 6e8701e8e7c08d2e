"""Clients under test: patient ones that never really wait, and keys to sign requests with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from api.client import Client
from ledger.proofs.trust import Trust
from ledger.signing import HeldKey, Signatory
from ops.home import now
from tests.api.registry import Registry
from tests.builders import REGISTRY, Who


@dataclass(slots=True)
class Pauses:
    """What a client waited for, in seconds; nobody really waits."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def root_of(registry: Registry) -> str:
    return registry.home.store.entry(0).event.id_text


def a_client(registry: Registry, **changes: Any) -> Client:
    """Return a client that knows the registry's root from elsewhere."""
    return Client(registry.address, Trust(root=root_of(registry)), **{"wait": Pauses(), **changes})


def hasty(address: str, trust: Trust | None = None, **changes: Any) -> Client:
    """Return a client of any address that does not wait between its tries; its jitter takes nothing off."""
    return Client(address, trust or Trust(), **{"wait": Pauses(), "jitter": lambda: 0.0, **changes})


def signatory(who: Who, role: str) -> Signatory:
    return Signatory(HeldKey(who.key, REGISTRY, who.signer_id, role), now, os.urandom)  # type: ignore[arg-type]
