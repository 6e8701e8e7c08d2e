"""Proofs of identity over HTTP that need no browser: a letter to an address, an SSH key of an account."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody

from api.identity.bodies import MAX_BODY_BYTES, read_body, taking
from api.identity.described import (
    IDENTITY,
    PROVEN_EXAMPLE,
    SIGNED,
    CodeGiven,
    LetterAsked,
    LetterSent,
    SshGiven,
    answered,
)
from api.identity.evidence import Proven, email_identifier
from api.identity.key_requests import authenticated
from api.identity.letters import confirm_letter, normal_address, send_letter
from api.identity.ssh import prove_ssh
from api.identity.unkept import unkept
from api.parts import Parts
from api.submitting.submissions import intake_of
from ledger.times import seconds

Asked = Request[Any, Any, Any]

_REFUSALS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.BAD_GATEWAY,
)
_KNOWN: Final = (HTTPStatus.OK, "The log said so already; nothing was appended.")


def proof_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of letters and of SSH signatures."""

    @post(
        "/api/identity/email",
        status_code=HTTPStatus.ACCEPTED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Have a code sent to your e-mail address",
        operation_id="sendIdentityLetter",
        tags=[IDENTITY],
        operation_class=taking(LetterAsked, {"address": "carberry@example.org", "consent": False}),
        responses=answered(
            HTTPStatus.ACCEPTED,
            "The letter was handed in.",
            LetterSent,
            *_REFUSALS,
            example={"identifier": f"email:{'ab' * 32}", "expires_at": "2026-06-19T16:27:24Z"},
        ),
        description=(
            f"{SIGNED} Every address is answered alike. The code works for fifteen minutes and five tries; three"
            " letters an hour are sent for a key, and to an address. The log will show a salted commitment, never the"
            " address."
        ),
    )
    def send(request: Asked, body: RawBody) -> Response[LetterSent]:
        key = authenticated(request, parts, body=body)
        intake_of(parts)
        asked = read_body(body, LetterAsked)
        expires_at = send_letter(parts, key, asked.address, consent=asked.consent)
        identifier = email_identifier(parts, normal_address(asked.address))
        return unkept(LetterSent(identifier=identifier, expires_at=seconds(expires_at)), HTTPStatus.ACCEPTED)

    @post(
        "/api/identity/email/confirm",
        status_code=HTTPStatus.CREATED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Show that you read the letter",
        operation_id="confirmIdentityLetter",
        tags=[IDENTITY],
        operation_class=taking(CodeGiven, {"code": "MFRG-GZDF"}),
        responses=answered(
            HTTPStatus.CREATED,
            "The address is proven for the key.",
            Proven,
            *_REFUSALS,
            example=PROVEN_EXAMPLE | {"identifier": f"email:{'ab' * 32}", "method": "email-code"},
            also=_KNOWN,
        ),
        description=f"{SIGNED} The same key asks as for the letter.",
    )
    def confirm(request: Asked, body: RawBody) -> Response[Proven]:
        key = authenticated(request, parts, body=body)
        return _proven(confirm_letter(parts, key, read_body(body, CodeGiven).code))

    @post(
        "/api/identity/ssh",
        status_code=HTTPStatus.CREATED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Show by an SSH key which account is yours",
        operation_id="proveSshKey",
        tags=[IDENTITY],
        operation_class=taking(
            SshGiven,
            {
                "scheme": "github",
                "user": "carberry",
                "signature": "-----BEGIN SSH SIGNATURE-----\n…\n-----END SSH SIGNATURE-----\n",
                "consent": False,
            },
        ),
        responses=answered(
            HTTPStatus.CREATED,
            "The account is proven for the key.",
            Proven,
            *_REFUSALS,
            example=PROVEN_EXAMPLE | {"identifier": "github:carberry", "method": "ssh-signature"},
            also=_KNOWN,
        ),
        description=(
            f"{SIGNED} The SSH key has signed the 64 hex digits of the statement's SHA-256 (`statement_sha256` at"
            " `/api/keys/{key_id}`), without a newline: `printf %s DIGITS | ssh-keygen -Y sign -n pith-key@REGISTRY -f"
            " KEY`. It must stand in the account's public key list at that moment."
        ),
    )
    def prove_account(request: Asked, body: RawBody) -> Response[Proven]:
        key = authenticated(request, parts, body=body)
        intake_of(parts)
        asked = read_body(body, SshGiven)
        return _proven(prove_ssh(parts, key, asked.scheme, asked.user, asked.signature, consent=asked.consent))

    return [send, confirm, prove_account]


def _proven(found: Proven) -> Response[Proven]:
    return unkept(found, HTTPStatus.CREATED if found.created else HTTPStatus.OK)
