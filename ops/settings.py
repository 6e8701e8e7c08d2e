"""Settings: frozen objects, read once from the environment (`PITH_*`) and the files that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from api.settings import ApiSettings, MailServer, OpenIdProvider
from ledger.errors import UsageError
from ops.database_address import check_address, check_schema
from ops.logs_file import read_logs
from ops.services_file import read_services

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,31}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NO_LINE = re.compile("[\x00-\x1f\x7f]")

RATE_LIMITS: Final[dict[str, int]] = {"read": 6_000, "search": 600, "submit": 3_000, "identity": 60, "admin": 30}
"""How many requests of each cost class one client has a minute: reads of what is ready, what needs computing, events,
logins and letters, and failed attempts to show who one is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data is, under which address it is shown, and which witnesses must cosign.

    `database_url` names the PostgreSQL database of the log, the private tables and the jobs; "" keeps them in files of
    the data folder. `owner_url` names the same database by the role that owns its tables, where that is another.
    `label` says which of the registry's logs the folder is for (`logs.toml`); the first one's is empty.
    """

    data: Path
    base_url: str
    witness_policy: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    services: Path | None = None
    database_url: str = field(default="", repr=False)
    owner_url: str = field(default="", repr=False)
    schema: str = "pith"
    label: str = ""

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
    def jobs_path(self) -> Path:
        """What is owed and who works on it; where it is lost, all of it is found again from the log."""
        return self.data / "jobs.db"

    @property
    def services_path(self) -> Path:
        """The file that names the services of others; without it nobody is asked for anything."""
        return self.services or self.data / "services.toml"

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
    must cosign a checkpoint before it is published (default: none), `PITH_TRUSTED_PROXIES` the addresses or networks
    of web servers in front, which are believed about whom they speak for (default: none), `PITH_SERVICES` the file that
    names the services of others (default: `services.toml` in the data folder, if it is there).

    `PITH_DATABASE_URL` is the address of a PostgreSQL database (default: none, files in the data folder), and
    `PITH_DATABASE_OWNER_URL` the same by the role that owns the tables (default: the former's role). Either may stand
    in a file instead: `PITH_DATABASE_URL_FILE`, `PITH_DATABASE_OWNER_URL_FILE`. `PITH_DATABASE_SCHEMA` begins the names
    of the registry's schemas there (default `pith`).

    Raises:
        UsageError: a value that cannot be meant.
    """
    base_url = environment.get("PITH_BASE_URL", "http://127.0.0.1:8080").rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{base_url!r} is no address", place="PITH_BASE_URL", cure="give https://HOST")
    policy = environment.get("PITH_WITNESS_POLICY")
    proxies = tuple(environment.get("PITH_TRUSTED_PROXIES", "").split())
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError:
            cure = "give addresses or networks such as 127.0.0.1 or 10.0.0.0/8, separated by spaces"
            raise UsageError(f"{proxy!r} is no address", place="PITH_TRUSTED_PROXIES", cure=cure) from None
    data = Path(environment.get("PITH_DATA", ".pith"))
    services = environment.get("PITH_SERVICES")
    if services and not Path(services).is_file():
        raise UsageError("there is no such file", place="PITH_SERVICES", cure="give the path of services.toml")
    return Settings(
        data,
        base_url,
        Path(policy) if policy else None,
        proxies,
        services=Path(services) if services else None,
        label=read_logs(data).label,
        **_database(environment),
    )


def _database(environment: Mapping[str, str]) -> dict[str, str]:
    url, owner_url = (_secret(environment, name) for name in ("PITH_DATABASE_URL", "PITH_DATABASE_OWNER_URL"))
    for address, place in ((url, "PITH_DATABASE_URL"), (owner_url, "PITH_DATABASE_OWNER_URL")):
        if address:
            check_address(address, place)
    if owner_url and not url:
        raise UsageError(
            "the owner of a database is named, but no database",
            place="PITH_DATABASE_OWNER_URL",
            cure="set PITH_DATABASE_URL to the address that servers use",
        )
    schema = environment.get("PITH_DATABASE_SCHEMA", "pith")
    check_schema(schema, "PITH_DATABASE_SCHEMA")
    return {"database_url": url, "owner_url": owner_url, "schema": schema}


def api_settings(settings: Settings, environment: Mapping[str, str]) -> ApiSettings:
    """Read what the application needs beyond the data folder.

    `PITH_OPENID_ISSUER`, `PITH_OPENID_CLIENT_ID`, `PITH_OPENID_CLIENT_SECRET` and `PITH_OPENID_SCHEME` (default
    `orcid`) name a provider of logins. `PITH_SMTP` (`HOST:PORT`), `PITH_SMTP_SENDER`, `PITH_SMTP_USER`,
    `PITH_SMTP_PASSWORD` and `PITH_SMTP_STARTTLS` (`yes`) say where letters are handed in. `PITH_SSH_KEY_LISTS` holds
    `SCHEME=ADDRESS` pairs with `{user}` in each address, separated by spaces. `PITH_RATE_LIMITS` holds `CLASS=NUMBER`
    pairs: requests a minute for one client, in place of the default (`RATE_LIMITS`); 0 is no limit. A secret may stand
    in a file instead: `PITH_OPENID_CLIENT_SECRET_FILE`, `PITH_SMTP_PASSWORD_FILE`. What the jobs do on request follows
    from the file of services.

    Raises:
        UsageError: a value that cannot be meant, named by its variable and never repeated where it is secret.
    """
    services = read_services(settings.services_path, environment)
    anchoring, storing = services.anchoring, services.storing
    return ApiSettings(
        base_url=settings.base_url,
        rate_limits=_rate_limits(environment.get("PITH_RATE_LIMITS", "")),
        openid=_openid(environment),
        mail=_mail(environment),
        ssh_key_lists=_ssh_key_lists(environment.get("PITH_SSH_KEY_LISTS", "")),
        stamps=bool(anchoring.clocks),
        preserves=services.fetched.hosts if storing.archives or storing.buckets else (),
        anchor_patience_seconds=float(anchoring.patience_seconds) if anchoring.clocks else None,
    )


def _openid(environment: Mapping[str, str]) -> OpenIdProvider | None:
    issuer = environment.get("PITH_OPENID_ISSUER", "")
    if not issuer:
        return None
    if not _is_safe(issuer) or "?" in issuer or "#" in issuer:
        raise UsageError(f"{issuer!r} is no issuer", place="PITH_OPENID_ISSUER", cure="such as https://orcid.org")
    client_id = environment.get("PITH_OPENID_CLIENT_ID", "")
    if not client_id:
        raise UsageError("a provider needs a client id", place="PITH_OPENID_CLIENT_ID", cure="register with it")
    scheme = environment.get("PITH_OPENID_SCHEME", "orcid")
    if not _SCHEME.fullmatch(scheme) or scheme in ("email", "registry"):
        raise UsageError(
            f"{scheme!r} is no scheme of its identifiers", place="PITH_OPENID_SCHEME", cure="such as orcid"
        )
    return OpenIdProvider(issuer, client_id, _secret(environment, "PITH_OPENID_CLIENT_SECRET"), scheme)


def _mail(environment: Mapping[str, str]) -> MailServer | None:
    server = environment.get("PITH_SMTP", "")
    if not server:
        return None
    host, _, port = server.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{server!r} is no server", place="PITH_SMTP", cure="give HOST:PORT")
    sender = environment.get("PITH_SMTP_SENDER", "")
    if "@" not in sender or _NO_LINE.search(sender):
        raise UsageError(
            f"{sender!r} is no sender", place="PITH_SMTP_SENDER", cure="give the address letters come from"
        )
    starttls = environment.get("PITH_SMTP_STARTTLS", "no")
    if starttls not in ("yes", "no"):
        raise UsageError(f"{starttls!r} is neither yes nor no", place="PITH_SMTP_STARTTLS")
    user, password = environment.get("PITH_SMTP_USER", ""), _secret(environment, "PITH_SMTP_PASSWORD")
    if user and starttls == "no" and host.strip("[]") not in _LOOPBACK:
        raise UsageError(
            "a password would go over the network in clear", place="PITH_SMTP_STARTTLS", cure="set it to yes"
        )
    return MailServer(host.strip("[]"), int(port), sender, user, password, starttls == "yes")


def _ssh_key_lists(text: str) -> dict[str, str]:
    found = _pairs(text, "PITH_SSH_KEY_LISTS", "give SCHEME=ADDRESS, such as github=https://github.com/{user}.keys")
    for scheme, address in found.items():
        parts = urlsplit(address)
        # The user's name belongs into the path: in the host it would choose whom to ask.
        if not _is_scheme(scheme) or not _is_safe(address) or "{" in parts.netloc or "{user}" not in parts.path:
            raise UsageError(
                f"{scheme}={address} is no list of keys",
                place="PITH_SSH_KEY_LISTS",
                cure="such as github=https://github.com/{user}.keys",
            )
    return found


def _rate_limits(text: str) -> dict[str, int]:
    found = _pairs(text, "PITH_RATE_LIMITS", "give CLASS=NUMBER, such as submit=60")
    for cost, number in found.items():
        if cost not in RATE_LIMITS:
            raise UsageError(
                f"there is no cost class {cost!r}", place="PITH_RATE_LIMITS", cure=f"use {', '.join(RATE_LIMITS)}"
            )
        if not number.isascii() or not number.isdigit() or int(number) >= 1_000_000_000:
            raise UsageError(f"{number!r} is no limit for {cost}", place="PITH_RATE_LIMITS", cure="give a whole number")
    limits = RATE_LIMITS | {cost: int(number) for cost, number in found.items()}
    return {cost: limit for cost, limit in limits.items() if limit}


def _is_scheme(text: str) -> bool:
    """Say whether identifiers of this scheme may be proven; two schemes have rules of their own."""
    return _SCHEME.fullmatch(text) is not None and text not in ("email", "registry")


def _names_user(address: str) -> bool:
    parts = urlsplit(address)
    return "{" not in parts.netloc and "{user}" in parts.path


def _is_safe(address: str) -> bool:
    """Say whether nobody on the way can answer in the place of an address: TLS, or this very machine."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        )
    except ValueError:
        return False


def _pairs(text: str, place: str, cure: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split():
        name, separator, value = pair.partition("=")
        if not name or not separator or not value or name in found:
            raise UsageError(f"{pair!r} is no pair, or given twice", place=place, cure=cure)
        found[name] = value
    return found


def _secret(environment: Mapping[str, str], name: str) -> str:
    """Return a secret from its variable, or without its final newline from the file that NAME_FILE names."""
    path = environment.get(f"{name}_FILE")
    if path is None:
        return environment.get(name, "")
    if name in environment:
        raise UsageError(f"{name} is set too", place=f"{name}_FILE", cure="set one of the two")
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"the file cannot be read: {reason}", place=f"{name}_FILE") from None
