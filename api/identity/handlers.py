"""Every route of this package."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from api.identity.known_keys import key_handlers
from api.identity.login_handlers import login_handlers
from api.identity.openid import Provider
from api.identity.proof_handlers import proof_handlers
from api.identity.session_handlers import session_handlers
from api.parts import Parts


def identity_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes by which people show who they are, and by which anybody sees what is known of a key."""
    settings = parts.settings
    offered = Provider(settings.openid, settings.base_url, parts.clock) if settings.openid else None
    return [
        *login_handlers(parts, offered),
        *session_handlers(parts, offered),
        *proof_handlers(parts),
        *key_handlers(parts),
    ]
