"""What the addresses of this package take and answer with, in words and examples for the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from msgspec import Meta

from api.documented import Problem
from api.problems import PROBLEM_TYPE

IDENTITY: Final = "identity"
SESSION: Final = "session"
KEYS: Final = "keys"
ADMIN: Final = "admin"

SIGNED: Final = (
    'The request is signed with a registered key: `Authorization: Pith-Key key_id="…", created="…", nonce="…",'
    ' signature="…"`, over the SHA-256 of the canonical JSON of {registry, method, path, body_sha256, created, nonce,'
    " key_id} after the domain `pith-request/1\\n`."
)

Flag = Annotated[bool, Meta(description="Publish the evidence in the log; otherwise the registry keeps it to itself.")]


class Consenting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether what proves an identifier may be published."""

    consent: Flag = False


class FlowBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A login that waits to be opened in a browser, until `expires_at` (YYYY-MM-DDTHH:MM:SSZ)."""

    flow: str
    expires_at: str


class LetterAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to send a code."""

    address: Annotated[str, Meta(min_length=3, max_length=254)]
    consent: Flag = False


class LetterSent(msgspec.Struct, frozen=True, kw_only=True):
    """A letter is on its way; `identifier` is how the address will stand in the log."""

    identifier: str
    expires_at: str


class CodeGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The code of the letter; hyphens, spaces and case do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=40)]


class SshGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An SSH signature over the hash of the key's statement, by a key that an account lists."""

    scheme: Annotated[str, Meta(max_length=32)]
    user: Annotated[str, Meta(max_length=100)]
    signature: Annotated[str, Meta(max_length=8_192)]
    consent: Flag = False


class SessionShown(msgspec.Struct, frozen=True, kw_only=True):
    """Who the registry would sign for: `subject` is the pseudonym that the log would show."""

    kind: str
    subject: str | None = None
    expires_at: str | None = None


_SAID: Final = {
    HTTPStatus.BAD_REQUEST: "The body or a parameter is malformed; `place` says where.",
    HTTPStatus.UNAUTHORIZED: "No credentials, or such that do not hold here and now.",
    HTTPStatus.FORBIDDEN: "What was shown proves nothing, or belongs to somebody else.",
    HTTPStatus.NOT_FOUND: "There is nothing of that name.",
    HTTPStatus.GONE: "No login is under way here any more.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "It is well formed and cannot be taken; `type` names the rule.",
    HTTPStatus.TOO_MANY_REQUESTS: "More than one client, key or address may have; `Retry-After` says when.",
    HTTPStatus.NOT_IMPLEMENTED: "This registry does not offer that.",
    HTTPStatus.BAD_GATEWAY: "A server that is needed for this does not answer as it should.",
}


def answered(
    status: HTTPStatus,
    description: str,
    container: Any,
    *problems: HTTPStatus,
    example: Mapping[str, Any] | None = None,
    kind: str = "application/json",
    also: tuple[HTTPStatus, str] | None = None,
) -> dict[int, ResponseSpec]:
    """Return what a handler answers with: one good answer, and problems.

    Args:
        also: another good answer, of the same kind or without content.
    """
    examples = None if example is None else [Example(value=dict(example))]
    found = {
        status.value: ResponseSpec(
            container, description=description, media_type=kind, generate_examples=False, examples=examples
        )
    }
    if also is not None:
        same = None if also[0] >= HTTPStatus.MULTIPLE_CHOICES else container
        found[also[0].value] = ResponseSpec(same, description=also[1], media_type=kind, generate_examples=False)
    for refusal in problems:
        found[refusal.value] = ResponseSpec(
            Problem, description=_SAID[refusal], media_type=PROBLEM_TYPE, generate_examples=False
        )
    return found


KEY_EXAMPLE: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PROVEN_EXAMPLE: Final = {
    "key_id": KEY_EXAMPLE,
    "identifier": "orcid:0000-0002-1825-0097",
    "method": "openid-connect",
    "event_id": f"sha256:{KEY_EXAMPLE}",
    "position": 511,
    "created": True,
}
