"""The clients of the configured timestamp services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ledger.anchors import check_proof
from ledger.appending import Clock
from ops.fetching import Fetching
from ops.services import Anchoring, Authority, Calendar
from ops.timestamps.authority import AuthorityClient
from ops.timestamps.calendar import CalendarClient
from ops.timestamps.headers import Headers

SERVICE_SECONDS: Final = 20.0
"""How long one request to a service may take: well within a lease."""


@dataclass
class Outside:
    """The outside clocks of a configuration, as clients; made when first used, since most runs ask nobody."""

    anchoring: Anchoring
    clock: Clock
    seconds: float = SERVICE_SECONDS
    _calendars: dict[str, CalendarClient] = field(default_factory=dict)

    @cached_property
    def fetching(self) -> Fetching:
        return Fetching(self.seconds)

    @cached_property
    def headers(self) -> Headers:
        return Headers(self.anchoring.headers, self.fetching, self.anchoring.depth)

    def calendar(self, url: str) -> CalendarClient:
        if url not in self._calendars:
            self._calendars[url] = CalendarClient(url, self.fetching)
        return self._calendars[url]

    def stamp(self, clock: Calendar | Authority, content: bytes, digest: bytes, roots: Sequence[bytes]) -> bytes:
        """Return a service's proof of some content (by its raw SHA-256): a pending `.ots` file, or a `.tsr` file.

        Args:
            roots: DER certificates under which an authority's reply must hold.

        Raises:
            ServiceUnavailableError, ServiceRefusedError: it gives none.
            AnchorError: what it gives is no proof of this.
        """
        if isinstance(clock, Authority):
            return AuthorityClient(clock.url, clock.policy, roots, self.clock, self.fetching).stamp(content)
        proof = self.calendar(clock.url).stamp(digest)
        check_proof("opentimestamps", digest, proof)
        return proof
