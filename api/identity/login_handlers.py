"""Logins over HTTP: `/api/identity/openid` for a key, and the callback where every login comes back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, RawBody

from api.identity import flows, pages
from api.identity.bodies import MAX_BODY_BYTES, asked_with, read_body, taking
from api.identity.cookies import LOGIN, SESSION, check_same_site, cookie, given_cookie
from api.identity.described import IDENTITY, SIGNED, Consenting, FlowBegun, answered
from api.identity.evidence import Proven, prove, statement_digest
from api.identity.key_requests import authenticated, key_in_use
from api.identity.openid import CALLBACK_PATH, Provider, encoded, required
from api.identity.sessions import SESSION_SECONDS, open_session
from api.identity.unkept import sent_to, unkept
from api.parts import Parts
from api.submitting.submissions import intake_of
from ledger.errors import InvalidFieldError
from ledger.times import seconds

Asked = Request[Any, Any, Any]

METHOD: Final = "openid-connect"
_GIVEN: Final = ("code", "error", "iss")


def login_handlers(parts: Parts, offered: Provider | None) -> list[HTTPRouteHandler]:
    """Return the routes of logins at the operator's provider."""
    settings = parts.settings

    @post(
        "/api/identity/openid",
        status_code=HTTPStatus.CREATED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Begin to show by a login whose key this is",
        operation_id="beginIdentityLogin",
        tags=[IDENTITY],
        operation_class=taking(Consenting, {"consent": False}),
        responses=answered(
            HTTPStatus.CREATED,
            "An address to open in a browser.",
            FlowBegun,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_IMPLEMENTED,
            example={
                "flow": "https://pith.example/api/identity/openid/flow/0yBIv9j1bBHdDzHTHt4xF9b0cUsxQ0Y8XMvJOkDW3hM",
                "expires_at": "2026-06-19T16:22:24Z",
            },
        ),
        description=f"{SIGNED} Whoever opens the address sees which key it is about before anything happens.",
    )
    def begin(request: Asked, body: RawBody) -> Response[FlowBegun]:
        key = authenticated(request, parts, body=body)
        required(offered)
        intake_of(parts)
        asked = read_body(body, Consenting)
        token, flow = flows.begin(parts, key.key_id, consent=asked.consent)
        address = f"{settings.base_url}/api/identity/openid/flow/{token}"
        return unkept(FlowBegun(flow=address, expires_at=seconds(flow.expires_at)), HTTPStatus.CREATED)

    @get(
        "/api/identity/openid/flow/{token:str}",
        sync_to_thread=True,
        summary="See which key a login is about",
        operation_id="showIdentityLogin",
        tags=[IDENTITY],
        responses=answered(HTTPStatus.OK, "A page.", str, HTTPStatus.FORBIDDEN, HTTPStatus.GONE, kind="text/html"),
        description="The first browser that opens it gets a cookie, and no other can go on with this login.",
    )
    def show(request: Asked, token: Token) -> Response[bytes]:
        origin = required(offered).origin()
        flow, browser = flows.opened_by(parts, token, given_cookie(request, settings, LOGIN))
        key = key_in_use(parts, flow.key_id)
        form = f"{settings.base_url}/api/identity/openid/flow/{token}/continue"
        text = pages.before_login(parts.store.registry_name, key, origin, form, consent=flow.consent)
        made = [cookie(settings, LOGIN, browser, flows.FLOW_SECONDS)] if browser else []
        return pages.page(text, *made, form_action=f"'self' {origin}")

    @post(
        "/api/identity/openid/flow/{token:str}/continue",
        status_code=HTTPStatus.SEE_OTHER,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Go on to the provider",
        operation_id="continueIdentityLogin",
        tags=[IDENTITY],
        responses=answered(
            HTTPStatus.SEE_OTHER, "`Location` is the provider's.", None, HTTPStatus.FORBIDDEN, HTTPStatus.GONE
        ),
        description="The button of the page; it works in the browser that opened it.",
    )
    def go_on(request: Asked, token: Token) -> Response[bytes]:
        check_same_site(request, settings)
        flow, state = flows.agreed(parts, token, given_cookie(request, settings, LOGIN))
        nonce = encoded(statement_digest(key_in_use(parts, flow.key_id)))
        return sent_to(required(offered).address(state, nonce, flows.verifier_of(parts, state)))

    @get(
        CALLBACK_PATH,
        sync_to_thread=True,
        summary="Come back from the provider",
        operation_id="finishLogin",
        tags=[IDENTITY],
        operation_class=asked_with(
            {
                "state": "What the browser was sent with; it belongs to one login and one browser.",
                "code": "For which the provider gives its token, once.",
                "error": "In place of a code: why there is no login.",
                "iss": "The provider, by its own word (RFC 9207).",
            }
        ),
        responses=answered(
            HTTPStatus.OK,
            "A page that says what the log now holds.",
            str,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.GONE,
            HTTPStatus.BAD_GATEWAY,
            kind="text/html",
            also=(HTTPStatus.SEE_OTHER, "Back to where a session was asked for, with its cookie."),
        ),
        description="Where the provider sends the browser with `state` and `code`, or `error`. It works once.",
    )
    def finish(request: Asked) -> Response[bytes]:
        answer, provider = _answer(request), required(offered)
        state, over = answer["state"], cookie(settings, LOGIN, "", 0)
        flow = flows.finished(parts, state, given_cookie(request, settings, LOGIN))
        if flow.key_id:
            proven = _proven(parts, provider, flow, answer)
            return pages.page(pages.after_login(parts.store.registry_name, proven), over)
        login = provider.login(answer, flows.nonce_of(parts, state), flows.verifier_of(parts, state))
        token = open_session(parts, provider.identifier(login))
        found = sent_to(f"{settings.base_url}{flow.return_to}")
        found.cookies = [over, cookie(settings, SESSION, token, SESSION_SECONDS)]
        return found

    return [begin, show, go_on, finish]


Token = Annotated[str, PathParameter(description="The end of the address that the login began with.")]


def _proven(parts: Parts, provider: Provider, flow: flows.Flow, answer: dict[str, str]) -> Proven:
    """Finish a login for a key: append that whoever logged in holds it."""
    digest = statement_digest(key_in_use(parts, flow.key_id))
    login = provider.login(answer, encoded(digest), flows.verifier_of(parts, answer["state"]))
    evidence = {
        "issuer": provider.settings.issuer,
        "id_token": login.id_token,
        "jwks": {"keys": [dict(login.key)]},
        "jwks_uri": login.jwks_uri,
        "statement_sha256": digest.hex(),
        "seen_at": seconds(parts.clock()),
    }
    # Asked anew: the key may have been revoked in the meantime.
    key = key_in_use(parts, flow.key_id)
    return prove(parts, key, provider.identifier(login), METHOD, evidence, consent=flow.consent)


def _answer(request: Asked) -> dict[str, str]:
    """Return what the provider sent back, each parameter once; raises InvalidFieldError for anything else."""
    found = {}
    for name in ("state", *_GIVEN):
        values = request.query_params.getall(name, [])
        if len(values) > 1 or any(len(value) > 4_096 for value in values):
            raise InvalidFieldError("given twice, or too long", place=name)
        if values:
            found[name] = values[0]
    if "state" not in found or ("code" in found) == ("error" in found):
        raise InvalidFieldError("not the answer of a provider", place="state", cure="begin the login again")
    return found
