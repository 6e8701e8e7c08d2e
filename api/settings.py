"""What whoever runs the application decides about it; `ops.settings` reads it from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider of OpenID Connect logins whose `sub` is an identifier, as ORCID's is.

    `scheme` is put before the `sub` to make it an identifier (`orcid:0000-0002-1825-0097`).
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scheme: str = "orcid"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in, and the address they come from."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the application.

    `base_url` is the public address without a final slash. `rate_limits` says per cost class how many
    requests a minute one client has; empty means no limits. `ssh_key_lists` are addresses with `{user}` in
    them, by the scheme of the identifier that such a list proves (`github`). `stamps` says whether jobs of this
    registry have records stamped on request. `preserves` are the hosts whose documents they preserve on request (a
    name, or `*.` and a domain for all below it); none means that they do not. An entry that no outside clock vouches
    for after `anchor_patience_seconds` is worth a warning; None never warns.
    """

    base_url: str
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    openid: OpenIdProvider | None = None
    mail: MailServer | None = None
    ssh_key_lists: Mapping[str, str] = field(default_factory=dict)
    stamps: bool = False
    preserves: tuple[str, ...] = ()
    anchor_patience_seconds: float | None = None
