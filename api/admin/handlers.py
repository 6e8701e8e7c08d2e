"""What operators do over HTTP with a token (`tokens`): bring in keys, attach evidence, see how the registry does.

Everything is appended by the registry's signature through the one way into the log, so it can be seen, dated and
audited like anything else. No token gives a role of the registry's own, signs for anybody or takes anything back.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from msgspec import Meta

from api.admin.admin_status import Status, status_of_registry
from api.admin.tokens import operator_of
from api.identity.bodies import MAX_BODY_BYTES, read_body, taking
from api.identity.described import ADMIN, KEY_EXAMPLE, answered
from api.identity.evidence import append_evidence, check_same_person, email_identifier
from api.identity.key_requests import known_by_now
from api.identity.letters import normal_address
from api.identity.unkept import unkept
from api.parts import Parts
from api.readiness import Health
from api.submitting.submissions import intake_of
from ledger.appending import Appended, Submission
from ledger.commitments import MAX_TEXT_BYTES
from ledger.errors import InvalidFieldError, MissingFieldError
from ledger.keys import Role
from ledger.payloads import KeyStatement, Line, SignerId
from ledger.records import Hex64, Time, check_time
from ledger.times import instant, seconds

Asked = Request[Any, Any, Any]

GIVEN_ROLES: Final[tuple[Role, ...]] = ("moderator", "storage_checker")
"""Contributors register themselves; the registry's own roles are given only where its keys are."""

_REFUSALS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.NOT_IMPLEMENTED,
)
_LOG: Final = logging.getLogger(__name__)


class KeyBrought(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `pith keygen --role …` writes: a key's statement, signed by itself."""

    statement: KeyStatement
    statement_signature_b64: Annotated[str, Meta(max_length=88)]


class EvidenceGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An identifier of an author of a paper (`subject`, a full Pith Number), or of a key's holder (`key_id`).

    An e-mail address is given in clear and stands in the log as a salted commitment. `evidence` is private, unless
    `consent` says that its person lets it be published. `proven_at` is now where it is left out.
    """

    identifier: Annotated[str, Meta(min_length=3, max_length=300)]
    method: Line
    evidence: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_BYTES)]
    subject: str | None = None
    key_id: Hex64 | None = None
    author_name: Line | None = None
    author_position: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    proven_at: Time | None = None
    consent: bool = False


class AppendedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that was appended."""

    event_id: str
    position: int
    received_at: str
    identifier: str | None = None
    key_id: str | None = None


def admin_handlers(parts: Parts, health: Health) -> list[HTTPRouteHandler]:
    """Return the operators' routes."""

    @post(
        "/api/admin/keys",
        status_code=HTTPStatus.CREATED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Register a moderator's or a storage checker's key",
        operation_id="registerKey",
        tags=[ADMIN],
        operation_class=taking(
            KeyBrought,
            {
                "statement": {
                    "registry": "pith.example",
                    "public_key": KEY_EXAMPLE,
                    "signer_id": "did:web:mod.example",
                    "role": "moderator",
                    "not_before": "2026-06-19T16:00:00Z",
                    "not_after": None,
                    "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
                },
                "statement_signature_b64": "A" * 86 + "==",
            },
        ),
        responses=answered(
            HTTPStatus.CREATED,
            "The key is registered.",
            AppendedAnswer,
            *_REFUSALS,
            example={"event_id": f"sha256:{KEY_EXAMPLE}", "position": 512, "received_at": "2026-06-19T16:12:24+00:00"},
        ),
        description="With an operator's token. The body is the file that `pith keygen` wrote; the registry signs it.",
    )
    def bring_key(request: Asked, body: RawBody) -> Response[AppendedAnswer]:
        operator = operator_of(request, parts)
        asked = read_body(body, KeyBrought)
        if asked.statement.role not in GIVEN_ROLES:
            raise InvalidFieldError(
                f"a {asked.statement.role} key is not registered here",
                place="statement.role",
                cure=f"the roles given by token are {' and '.join(GIVEN_ROLES)}",
            )
        intake = intake_of(parts)
        payload = msgspec.to_builtins(asked)
        event, _ = intake.signatory.sign("key_registered", "registry", payload)
        # Not taken as verified: the statement's own signature is the stranger's.
        appended = intake.append(Submission(event))
        _LOG.info("the operator %s registered a %s key at %s", operator, asked.statement.role, appended.entry.position)
        return _answer(appended)

    @post(
        "/api/admin/identity-evidence",
        status_code=HTTPStatus.CREATED,
        sync_to_thread=True,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Attach an identifier to a paper's author, or to a key",
        operation_id="attachIdentifier",
        tags=[ADMIN],
        operation_class=taking(
            EvidenceGiven,
            {
                "subject": "pith:2008:ETOCXI2CBTPFATQDFZLZ6QDMLS",
                "author_position": 1,
                "author_name": "Josiah Carberry",
                "identifier": "orcid:0000-0002-1825-0097",
                "method": "publisher-metadata",
                "evidence": "The publisher's deposit names this iD for the first author.",
            },
        ),
        responses=answered(
            HTTPStatus.CREATED,
            "The evidence stands in the log.",
            AppendedAnswer,
            *_REFUSALS,
            example={
                "event_id": f"sha256:{KEY_EXAMPLE}",
                "position": 513,
                "received_at": "2026-06-19T16:12:24+00:00",
                "identifier": "orcid:0000-0002-1825-0097",
            },
        ),
        description="With an operator's token. For a key it makes what the key signs count as its holder's.",
    )
    def attach(request: Asked, body: RawBody) -> Response[AppendedAnswer]:
        operator = operator_of(request, parts)
        asked = read_body(body, EvidenceGiven)
        identifier = _identifier(parts, asked.identifier)
        subject = _subject(parts, asked, identifier)
        payload = {
            "identifier": identifier,
            "method": asked.method,
            "evidence": asked.evidence,
            "proven_at": asked.proven_at or seconds(parts.clock()),
        }
        check_time(payload["proven_at"], "proven_at")
        for name in ("key_id", "author_name", "author_position"):
            if (value := getattr(asked, name)) is not None:
                payload[name] = value
        entry = append_evidence(parts, subject, payload, consent=asked.consent)
        _LOG.info("the operator %s attached evidence at %s", operator, entry.position)
        return _answer(Appended(entry, created=True), identifier=identifier, key_id=asked.key_id)

    @get(
        "/api/admin/status",
        sync_to_thread=True,
        summary="See how the registry does",
        operation_id="showStatus",
        tags=[ADMIN],
        responses=answered(
            HTTPStatus.OK,
            "Head, projections, what waits, and when keys end.",
            Status,
            HTTPStatus.UNAUTHORIZED,
            example={"registry": "pith.example", "size": 514, "cursor": 514, "lag": 0, "held": 2, "reasons": []},
        ),
        description="With an operator's token.",
    )
    def status(request: Asked) -> Response[Status]:
        operator_of(request, parts)
        return unkept(status_of_registry(parts, health))

    return [bring_key, attach, status]


def _identifier(parts: Parts, given: str) -> str:
    if given.startswith("email:") and "@" in given:
        return email_identifier(parts, normal_address(given[6:]))
    try:
        return msgspec.convert(given, SignerId)
    except msgspec.ValidationError:
        raise InvalidFieldError(
            "not an identifier", place="identifier", cure="the form is scheme:value, such as orcid:0000-0002-1825-0097"
        ) from None


def _subject(parts: Parts, asked: EvidenceGiven, identifier: str) -> str:
    """Return what the evidence is about; raises SubmissionError where that is neither one thing nor the other."""
    if (asked.subject is None) == (asked.key_id is None):
        raise MissingFieldError("either a subject or a key_id is given", place="subject")
    if asked.key_id is None:
        return asked.subject or ""
    if asked.author_name is not None or asked.author_position is not None:
        raise InvalidFieldError("an author is one of a paper, not of a key", place="author_position")
    if (key := known_by_now(parts, asked.key_id).keys.find(asked.key_id)) is not None:
        check_same_person(key, identifier)
    return "registry"


def _answer(appended: Appended, **facts: str | None) -> Response[AppendedAnswer]:
    entry = appended.entry
    return unkept(
        AppendedAnswer(
            event_id=entry.event.id_text, position=entry.position, received_at=instant(entry.received_at), **facts
        ),
        HTTPStatus.CREATED,
    )
