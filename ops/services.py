"""The services of others that a registry uses: timestamp services, headers of blocks, archives, and where it may fetch.

`services_file` reads them from a file. Without one nobody is asked for anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Literal

HOUR_SECONDS = 3_600
DAY_SECONDS = 24 * HOUR_SECONDS
YEAR_SECONDS = 365 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Calendar:
    """An OpenTimestamps calendar by its address."""

    url: str


@dataclass(frozen=True, slots=True)
class Authority:
    """An RFC 3161 timestamp authority by its address; `policy` is the OID its tokens must state, None for any."""

    url: str
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class HeaderSource:
    """Where block headers come from.

    `node`: the JSON-RPC address of a Bitcoin node, with user and password in it or none; `esplora`: the address of
    such an interface, without a final slash; `file`: a JSON object of headers in hex by height.
    """

    kind: Literal["node", "esplora", "file"]
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Which outside clocks are asked, and how often.

    `use` is how many of the services are asked for each checkpoint, in the order of `clocks`, those in doubt last; 0
    is all of them. `depth` is how many blocks must have come upon one, itself included, before it counts, where a
    source can tell. A promise older than `stale_seconds` puts its calendar in doubt; after `give_up_seconds` it is
    recorded as failed. `patience_seconds` is the age of an unanchored checkpoint from which readiness warns.
    """

    calendars: tuple[Calendar, ...] = ()
    authorities: tuple[Authority, ...] = ()
    headers: tuple[HeaderSource, ...] = ()
    every_seconds: int = HOUR_SECONDS
    use: int = 0
    depth: int = 6
    stale_seconds: int = 2 * DAY_SECONDS
    give_up_seconds: int = 30 * DAY_SECONDS
    renew_seconds: int = 30 * DAY_SECONDS
    patience_seconds: int = DAY_SECONDS

    @property
    def clocks(self) -> tuple[Calendar | Authority, ...]:
        """All timestamp services in the order in which they are used.

        Calendars and authorities by turns: all calendars lead to one chain, so the first few are to be of both kinds.
        """
        both = zip_longest(self.calendars, self.authorities)
        return tuple(clock for clock in chain.from_iterable(both) if clock is not None)


@dataclass(frozen=True, slots=True)
class Fetched:
    """From where copies may be fetched, and how much.

    `hosts` are names, or `*.` and a domain for all below it; `networks` lists private networks that these may be in
    all the same (CIDR), for archives of one's own. `max_bytes_a_day` is how much people's requests may bring into
    archives and buckets on one day (UTC).
    """

    hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    max_bytes: int = 200 * 1024 * 1024
    max_bytes_a_day: int = 20 * 1024 * 1024 * 1024
    seconds: int = 300


@dataclass(frozen=True, slots=True)
class WebArchive:
    """A web archive: where captures are asked for (Save Page Now 2), looked up (CDX) and read (Memento).

    All three are addresses without a final slash, for archive.org `https://web.archive.org/save`,
    `https://web.archive.org/cdx/search/cdx` and `https://web.archive.org/web`.
    """

    name: str
    save: str
    cdx: str
    replay: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket for copies; with `retain_days` above 0 each is locked for so long (object lock, compliance)."""

    name: str
    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    retain_days: int = 0


@dataclass(frozen=True, slots=True)
class Storing:
    """Where copies are kept, and how often each is looked at again; `again_seconds` after something went wrong."""

    archives: tuple[WebArchive, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    recheck_seconds: int = 30 * DAY_SECONDS
    again_seconds: int = 6 * HOUR_SECONDS


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that is configured."""

    anchoring: Anchoring = field(default_factory=Anchoring)
    fetched: Fetched = field(default_factory=Fetched)
    storing: Storing = field(default_factory=Storing)
