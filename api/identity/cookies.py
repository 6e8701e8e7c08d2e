"""Cookies: out of reach for scripts, sent by no other site's forms, and bound to this very host where it has TLS.

`SameSite=Lax` (RFC 6265bis, 5.6.7) lets the provider's redirect carry them back and keeps other sites' POSTs from
doing so; `check_same_site` says the same a second time by what browsers tell of a request's origin.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie

from api.problems import ForbiddenError
from api.settings import ApiSettings

SESSION: Final = "pith-session"
LOGIN: Final = "pith-login"


def cookie_name(settings: ApiSettings, name: str) -> str:
    # With this prefix a browser takes the cookie from this host over TLS only, so no sibling host can plant one.
    return f"__Host-{name}" if is_secure(settings) else name


def cookie(settings: ApiSettings, name: str, value: str, seconds: int) -> Cookie:
    """Return a cookie that lasts so many seconds; 0 takes it back."""
    return Cookie(
        key=cookie_name(settings, name),
        value=value,
        path="/",
        max_age=seconds,
        httponly=True,
        secure=is_secure(settings),
        samesite="lax",
    )


def given_cookie(request: Request[Any, Any, Any], settings: ApiSettings, name: str) -> str | None:
    return request.cookies.get(cookie_name(settings, name)) or None


def is_secure(settings: ApiSettings) -> bool:
    return settings.base_url.startswith("https://")


def check_same_site(request: Request[Any, Any, Any], settings: ApiSettings) -> None:
    """Refuse what a browser sends on behalf of another site's page (Fetch Metadata; where it is missing, Origin).

    Programs send neither header and are let through: nobody can make them send a cookie.

    Raises:
        ForbiddenError: the request comes from another origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        # Origin may be hidden by a referrer policy, our own page's too; this header may not.
        is_ours = site in ("same-origin", "none")
    else:
        ours = {urlsplit(settings.base_url).netloc, request.headers.get("host", "")} - {""}
        is_ours = origin is None or _host_of(origin) in ours
    if not is_ours:
        raise ForbiddenError("another site's page sent this", place="origin", cure="open the page here itself")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
