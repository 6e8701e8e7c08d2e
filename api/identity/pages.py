"""The two pages of a login for a key: what is about to be bound to what, and that it was. No scripts, no styles."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Final

from litestar import Response
from litestar.datastructures import Cookie

from api.identity.evidence import Proven
from ledger.keyring import Registration
from ledger.keys import fingerprint

HTML: Final = "text/html; charset=utf-8"


def before_login(registry: str, key: Registration, provider: str, form: str, *, consent: bool) -> str:
    """Return the page that a flow's address opens; its form's address leads on to the provider."""
    rows = {
        "registry": registry,
        "key": _grouped(fingerprint(key.public_key)),
        "registered for": key.statement.signer_id,
        "registered at": key.statement.not_before,
        "you will log in at": provider,
        "the provider's token": "will be published in the log" if consent else "stays with the registry",
    }
    return _page(
        "Is this your key?",
        "<p>You are about to show that the key below belongs to you. Everything that is signed with this key will then"
        " count as said by you.</p>"
        f"{_table(rows)}"
        "<p><strong>Go on only if you asked for this yourself and your own program shows the same key.</strong>"
        " If somebody sent you this address, close the page: your login would vouch for their key.</p>"
        f'<form method="post" action="{escape(form)}"><button type="submit">This is my key: log in</button></form>',
    )


def after_login(registry: str, proven: Proven) -> str:
    """Return the page that says what the log now holds."""
    rows = {
        "registry": registry,
        "key": _grouped(proven.key_id[:32]),
        "proven identifier": proven.identifier,
        "event": proven.event_id,
        "position in the log": str(proven.position),
    }
    said = "It was shown before, and the log says so." if not proven.created else "The log says so from now on."
    return _page("The key is shown to be yours", f"<p>{said} You can close this page.</p>{_table(rows)}")


def page(text: str, *cookies: Cookie, form_action: str = "'none'") -> Response[bytes]:
    """Return a page as an answer that nothing keeps, runs or frames.

    Args:
        form_action: where its form may lead, redirects included (CSP 3, 6.4.2).
    """
    headers = {
        "content-type": HTML,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": (
            f"default-src 'none'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
        ),
        # Not `no-referrer`, with which browsers hide the form's origin from us too (Fetch, 3.2.7).
        "referrer-policy": "same-origin",
    }
    return Response(text.encode(), status_code=HTTPStatus.OK, headers=headers, cookies=list(cookies))


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows.items()
    )
    return f"<table>{cells}</table>"


def _grouped(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
