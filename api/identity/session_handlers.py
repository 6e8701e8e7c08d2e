"""Sessions over HTTP: `/api/session`, for people without a key; they end after twelve hours or when asked to."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from api.identity import flows
from api.identity.bodies import MAX_BODY_BYTES
from api.identity.cookies import LOGIN, SESSION, check_same_site, cookie, given_cookie
from api.identity.described import SESSION as SESSION_TAG
from api.identity.described import SessionShown, answered
from api.identity.openid import Provider, required
from api.identity.sessions import close_session, find_session
from api.identity.unkept import NO_STORE, sent_to, unkept
from api.parts import Parts
from ledger.errors import InvalidFieldError
from ledger.times import seconds

Asked = Request[Any, Any, Any]

_LOCAL: Final = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?", re.ASCII)


def session_handlers(parts: Parts, offered: Provider | None) -> list[HTTPRouteHandler]:
    """Return the routes of sessions."""
    settings = parts.settings

    @get(
        "/api/session/openid",
        status_code=HTTPStatus.SEE_OTHER,
        sync_to_thread=True,
        summary="Log in without a key",
        operation_id="beginSession",
        tags=[SESSION_TAG],
        responses=answered(
            HTTPStatus.SEE_OTHER,
            "`Location` is the provider's.",
            None,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_IMPLEMENTED,
            HTTPStatus.BAD_GATEWAY,
        ),
        description="For browsers. What is said in the session stands in the log under a pseudonym, held at first.",
    )
    def begin_session(return_to: ReturnTo = "/") -> Response[bytes]:
        if not _LOCAL.fullmatch(return_to) or len(return_to) > 200:
            raise InvalidFieldError("not the path of a page here", place="return_to", cure="such as /paper/QKNOCXGU")
        provider = required(offered)
        state, browser = flows.begin_session(parts, return_to)
        address = provider.address(state, flows.nonce_of(parts, state), flows.verifier_of(parts, state))
        found = sent_to(address)
        found.cookies = [cookie(settings, LOGIN, browser, flows.FLOW_SECONDS)]
        return found

    @get(
        "/api/session",
        sync_to_thread=True,
        summary="See whether you are logged in",
        operation_id="showSession",
        tags=[SESSION_TAG],
        responses=answered(
            HTTPStatus.OK,
            "`kind` is session or none.",
            SessionShown,
            example={"kind": "session", "subject": "ab" * 32, "expires_at": "2026-06-20T04:12:24Z"},
        ),
        description="`subject` is the pseudonym that the log shows for what is said in the session.",
    )
    def show_session(request: Asked) -> Response[SessionShown]:
        token = given_cookie(request, settings, SESSION)
        session = find_session(parts, token) if token else None
        if session is None:
            return unkept(SessionShown(kind="none"), HTTPStatus.OK)
        shown = SessionShown(kind="session", subject=session.subject, expires_at=seconds(session.expires_at))
        return unkept(shown, HTTPStatus.OK)

    @post(
        "/api/session/logout",
        status_code=HTTPStatus.NO_CONTENT,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Log out",
        operation_id="endSession",
        tags=[SESSION_TAG],
        responses=answered(HTTPStatus.NO_CONTENT, "The session has ended.", None, HTTPStatus.FORBIDDEN),
        description="Ends the session of the cookie, here and at once; without one it does nothing.",
    )
    def logout(request: Asked) -> Response[None]:
        check_same_site(request, settings)
        token = given_cookie(request, settings, SESSION)
        if token:
            close_session(parts, token)
        ended = [cookie(settings, SESSION, "", 0)]
        return Response(None, status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE, cookies=ended)

    return [begin_session, show_session, logout]


ReturnTo = Annotated[
    str, QueryParameter(description="The path of a page here to come back to; letters, digits and `._~-` only.")
]
