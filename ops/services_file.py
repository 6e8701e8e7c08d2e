"""Reading the services of a registry from one file: `services.toml` in its folder, or where `PITH_SERVICES` says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from ops.counting import counted
from ops.services import (
    DAY_SECONDS,
    YEAR_SECONDS,
    Anchoring,
    Authority,
    Bucket,
    Calendar,
    Fetched,
    HeaderSource,
    Services,
    Storing,
    WebArchive,
)
from ops.strict_tables import Table, fault_of_address, read_table

_HOST: Final = re.compile(
    r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?"
)
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_POOL: Final = ".pool."
_A_CALENDAR: Final = "https://alice.btc.calendar.opentimestamps.org"
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")


def read_services(path: Path, environment: Mapping[str, str] = os.environ) -> Services:
    """Read the file of services; without a file nothing is configured.

    Args:
        path: of the file (TOML); paths in it are relative to its folder.
        environment: where secrets are that stand in variables (`env:NAME`).

    Raises:
        UsageError: a key that is not known or a value that cannot be meant, with its place; no secret is repeated.
    """
    table = read_table(path, environment)
    services = Services(
        _anchoring(table.table("anchoring")), _fetched(table.table("fetched")), _storing(table.table("storing"))
    )
    table.finish()
    return services


def _anchoring(table: Table) -> Anchoring:
    usual = Anchoring()
    calendars, authorities, headers = [], [], []
    for item in table.tables("calendars"):
        url = item.address("url", insecure=item.flag("insecure")).rstrip("/")
        if _POOL in (urlsplit(url).hostname or ""):
            cure = f"name a calendar itself, such as {_A_CALENDAR}"
            raise item.fault("url", "a pool hands on to calendars that it alone chooses, so none could be asked", cure)
        calendars.append(Calendar(url))
        item.finish()
    for item in table.tables("authorities"):
        url = item.address("url", insecure=item.flag("insecure"))
        policy = item.text("policy", "")
        if policy and not _OID.fullmatch(policy):
            raise item.fault("policy", "this is no OID", "such as 1.3.6.1.4.1.99999.1")
        authorities.append(Authority(url, policy or None))
        item.finish()
    for item in table.tables("headers"):
        headers.append(_header_source(item))
        item.finish()
    found = Anchoring(
        calendars=tuple(calendars),
        authorities=tuple(authorities),
        headers=tuple(headers),
        every_seconds=table.number("every_seconds", usual.every_seconds, 1, YEAR_SECONDS),
        use=table.number("use", usual.use, 0, 100),
        depth=table.number("depth", usual.depth, 1, 1_000),
        stale_seconds=table.number("stale_seconds", usual.stale_seconds, 1, 10 * YEAR_SECONDS),
        give_up_seconds=table.number("give_up_seconds", usual.give_up_seconds, 1, 10 * YEAR_SECONDS),
        renew_seconds=table.number("renew_seconds", usual.renew_seconds, 0, 10 * YEAR_SECONDS),
        patience_seconds=table.number("patience_seconds", usual.patience_seconds, 1, 10 * YEAR_SECONDS),
    )
    table.finish()
    _check_unique(table, "calendars", (calendar.url for calendar in calendars))
    _check_unique(table, "authorities", (authority.url.rstrip("/") for authority in authorities))
    if found.use > len(found.clocks):
        number = len(found.clocks)
        message = f"only {counted(number, 'timestamp service is', 'timestamp services are')} named"
        raise table.fault("use", message, f"name more, or write use = {number}, or 0 for all of them")
    if calendars and not headers:
        cure = "name a node, an Esplora address or a file in [[anchoring.headers]]"
        raise table.fault("headers", "without block headers no promise of a calendar can ever be confirmed", cure)
    if found.give_up_seconds < found.stale_seconds:
        cure = f"write at least stale_seconds, which is {found.stale_seconds}"
        raise table.fault("give_up_seconds", "a promise would be given up before it is stale", cure)
    return found


def _header_source(table: Table) -> HeaderSource:
    """Read where headers come from; a node's address may hold a password, so it may come as a secret."""
    kind = cast(Literal["node", "esplora", "file"], table.choice("kind", "node", "esplora", "file"))
    insecure = table.flag("insecure")
    if kind == "file":
        return HeaderSource(kind, str(table.path("address")))
    if kind == "esplora":
        return HeaderSource(kind, table.address("address", insecure=insecure).rstrip("/"))
    is_secret = table.is_secret("address")
    address = table.secret("address") if is_secret else table.text("address")
    if (reason := fault_of_address(address, insecure=insecure, credentials=True)) is not None:
        raise table.fault("address", *reason)
    if not is_secret and "@" in urlsplit(address).netloc:
        cure = 'put it in a file: address_file = "…"'
        raise table.fault("address", "an address with a user and a password does not stand in this file", cure)
    return HeaderSource(kind, address)


def _fetched(table: Table) -> Fetched:
    usual = Fetched()
    hosts, networks = table.texts("hosts"), table.texts("networks")
    for host in hosts:
        if not _is_host(host):
            cure = "give names such as arxiv.org, or *.arxiv.org for all below it"
            raise table.fault("hosts", f"{host[:80]!r} is no host", cure)
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise table.fault("networks", f"{network[:80]!r} is no network", "such as 10.1.2.0/24") from None
    found = Fetched(
        hosts=hosts,
        networks=networks,
        max_bytes=table.number("max_bytes", usual.max_bytes, 1, 1 << 40),
        max_bytes_a_day=table.number("max_bytes_a_day", usual.max_bytes_a_day, 0, 1 << 50),
        seconds=table.number("seconds", usual.seconds, 1, DAY_SECONDS),
    )
    table.finish()
    return found


def _storing(table: Table) -> Storing:
    usual = Storing()
    archives = tuple(_archive(item) for item in table.tables("archives"))
    buckets = tuple(_bucket(item) for item in table.tables("buckets"))
    found = Storing(
        archives=archives,
        buckets=buckets,
        recheck_seconds=table.number("recheck_seconds", usual.recheck_seconds, 1, 10 * YEAR_SECONDS),
        again_seconds=table.number("again_seconds", usual.again_seconds, 1, YEAR_SECONDS),
    )
    table.finish()
    _check_unique(table, "archives", (archive.name for archive in archives))
    _check_unique(table, "buckets", (bucket.name for bucket in buckets))
    return found


def _archive(table: Table) -> WebArchive:
    insecure = table.flag("insecure")
    save, cdx, replay = (table.address(key, insecure=insecure).rstrip("/") for key in ("save", "cdx", "replay"))
    found = WebArchive(_name(table), save, cdx, replay, table.text("access_key", ""), table.secret("secret_key"))
    if bool(found.access_key) != bool(found.secret_key):
        raise table.fault("access_key", "access_key and secret_key belong together", "give both, or neither")
    table.finish()
    return found


def _bucket(table: Table) -> Bucket:
    bucket, region = table.text("bucket"), table.text("region")
    if not _BUCKET.fullmatch(bucket):
        cure = "use 3 to 63 small letters, digits, dots and hyphens"
        raise table.fault("bucket", "this is no name of a bucket", cure)
    if not _REGION.fullmatch(region):
        raise table.fault("region", "this is no region", "such as eu-central-1")
    found = Bucket(
        name=_name(table),
        endpoint=table.address("endpoint", insecure=table.flag("insecure")).rstrip("/"),
        bucket=bucket,
        region=region,
        access_key=table.text("access_key"),
        secret_key=table.secret("secret_key"),
        retain_days=table.number("retain_days", 0, 0, 36_500),
    )
    if not found.secret_key:
        raise table.fault("secret_key_file", "this is missing", 'add secret_key_file = "…"')
    table.finish()
    return found


def _name(table: Table) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.fault("name", "this is no name", "use up to 40 small letters, digits, dots and hyphens")
    return name


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None
    return True


def _check_unique(table: Table, key: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise table.fault(key, f"{value} is named twice", "take one of them out, or give it another name")
        seen.add(value)
