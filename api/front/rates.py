"""How much one client may ask for: so many requests a minute of each cost class, and 429 beyond that.

A client is an address of the network, or the /64 that an IPv6 address is in. Each class counts for itself. A
bucket holds a minute's worth and fills evenly; it is kept as the one moment at which it will be full (the generic
cell rate algorithm), for so many clients and no more.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from litestar import Request

from api.front.current import exchange_of
from api.problems import TooManyRequestsError
from ledger.errors import UsageError

READ: Final = "read"
SEARCH: Final = "search"
SUBMIT: Final = "submit"
IDENTITY: Final = "identity"
ADMIN: Final = "admin"
COST_CLASSES: Final = (READ, SEARCH, SUBMIT, IDENTITY, ADMIN)
"""What is answered from memory or one row; what needs computing; what is appended, an event each; logins and letters;
and failed attempts to show who one is, which no address belongs to."""

MAX_CLIENTS: Final = 100_000
"""For each class; beyond that, whoever asked longest ago begins anew."""

_WINDOW: Final = 60.0
_SUBMITTING: Final = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_WORK: Final = frozenset(("events", "moderation", "proof", "receipts", "search"))
_WORK_ENDINGS: Final = frozenset(("bundle.json", "events", "events.json", "graph.json", "search", "state.json"))
_IDENTITY: Final = frozenset(("identity", "login", "logout", "session", "sessions"))


class Limit:
    """So many requests a minute for each client; may be asked from any thread.

    Args:
        monotonic: returns seconds from any beginning.
        clients: how many of them are remembered.
    """

    def __init__(self, cost: str, a_minute: int, monotonic: Callable[[], float], clients: int = MAX_CLIENTS) -> None:
        self._cost = cost
        self._interval = _WINDOW / a_minute
        self._monotonic = monotonic
        self._clients = clients
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        self.policy: Final = f'"{cost}";q={a_minute};w={_WINDOW:.0f}'

    def take(self, client: str, amount: int = 1) -> int:
        """Charge a client that has something left, and return how much is left then.

        The whole amount is charged where at least one is left; the client waits so much longer afterwards.

        Raises:
            TooManyRequestsError: nothing is left; nothing is charged.
        """
        with self._lock:
            now = self._monotonic()
            full_at = max(self._full_at.get(client, now), now)
            left = self._left(full_at, now)
            if left < 1:
                raise self._refusal(left)
            self._put(client, full_at + amount * self._interval)
        return max(0, int(left) - amount)

    def spend(self, client: str, amount: int = 1) -> None:
        """Charge a client whatever it has left."""
        with self._lock:
            now = self._monotonic()
            full_at = max(self._full_at.get(client, now), now)
            self._put(client, full_at + amount * self._interval)

    def check(self, client: str) -> None:
        """Charge nothing; raises TooManyRequestsError where nothing is left."""
        with self._lock:
            full_at = self._full_at.get(client)
            if full_at is not None and (left := self._left(full_at, self._monotonic())) < 1:
                raise self._refusal(left)

    def _left(self, full_at: float, now: float) -> float:
        # Rounded, for what was put in by the sixtieth part of a minute may not come out whole.
        return round((_WINDOW - (full_at - now)) / self._interval, 6)

    def _put(self, client: str, full_at: float) -> None:
        # A debt ends within an hour, whatever was charged.
        self._full_at[client] = min(full_at, self._monotonic() + 60 * _WINDOW)
        self._full_at.move_to_end(client)
        if len(self._full_at) > self._clients:
            self._full_at.popitem(last=False)

    def _refusal(self, left: float) -> TooManyRequestsError:
        wait = max(1, math.ceil((1 - left) * self._interval))
        error = TooManyRequestsError("more requests came from this address than it may make", retry_after=wait)
        error.headers = {
            **error.headers,
            "ratelimit-policy": self.policy,
            "ratelimit": f'"{self._cost}";r=0;t={wait}',
        }
        return error


class Limits:
    """The limits by cost class; a class that is left out has none.

    Raises:
        UsageError: a class that there is not, or a limit below 1.
    """

    def __init__(
        self,
        a_minute: Mapping[str, int],
        monotonic: Callable[[], float] = time.monotonic,
        clients: int = MAX_CLIENTS,
    ) -> None:
        for cost, number in a_minute.items():
            if cost not in COST_CLASSES:
                raise UsageError(f"{cost!r} is no cost class", cure=f"name one of {', '.join(COST_CLASSES)}")
            if number < 1:
                raise UsageError(f"{number} is no limit", place=cost, cure="give at least 1, or leave it out")
        self.by_cost: Final = {cost: Limit(cost, number, monotonic, clients) for cost, number in a_minute.items()}
        self.failures: Final = self.by_cost.get(ADMIN)


def charge(request: Request[Any, Any, Any], amount: int) -> None:
    """Charge a request so much more than the one it has paid already; call it before the work that this is for.

    A client that has anything left is granted all of it, and waits so much longer for its next request.

    Raises:
        TooManyRequestsError: the client has nothing left.
    """
    exchange = exchange_of(request)
    if exchange is not None and amount > 0 and (limit := exchange.limits.by_cost.get(exchange.cost)) is not None:
        limit.take(exchange.client, amount)


def failed_authentication(request: Request[Any, Any, Any]) -> None:
    """Count a failed attempt to show who one is; for handlers that do not answer it with 401, which counts by itself.

    Once a client has none left, its requests with credentials are refused for a while.
    """
    exchange = exchange_of(request)
    if exchange is not None and exchange.limits.failures is not None:
        exchange.limits.failures.spend(exchange.client)


def cost_of(method: str, path: str, query: bytes) -> str:
    """Return the cost class of a request.

    Args:
        path: decoded; doubled slashes stand only behind its first part (`api.front.bounds` refuses others).
    """
    parts = path.split("/", 3)
    first = parts[1]
    if first == "api" and len(parts) > 2:
        first = parts[2]
        if first in _WORK:
            return SUBMIT if method in _SUBMITTING else SEARCH
    if first in _IDENTITY:
        return IDENTITY
    if method in _SUBMITTING:
        return SUBMIT
    # A parameter's name may be escaped too.
    if query and (b"as_of" in query or b"%" in query) and not path.endswith("/resolve"):
        return SEARCH
    return SEARCH if path.rpartition("/")[2] in _WORK_ENDINGS else READ


def client_of(peer: tuple[str, int] | None) -> str:
    """Return who is charged for what a peer asks; a peer without an address (a local socket) is one client."""
    if peer is None:
        return ""
    return _network(peer[0]) if ":" in peer[0] else peer[0]


@lru_cache(4096)
def _network(host: str) -> str:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
