"""Forms: what people without a key send, as plain JSON with names of their own, and the payloads these become.

A form says only what its sender can know; the rest follows from the paper, the time and the registry's own
rules. Nothing here reads a database or a clock. Limits are those of the payloads (`ledger.payloads`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ledger.commitments import MAX_TEXT_BYTES, PRIVATE_FIELDS
from ledger.errors import InvalidFieldError, LedgerError, MalformedError, MissingFieldError, UnknownFieldError
from ledger.payloads import Artefact, Base64, Count, EventIdText, Line, Relationship, Url
from ledger.records import Hex64, Time
from ledger.subjects import interpret, is_number

PrivateText = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_BYTES)]
"""Free text: it is committed to, not signed, shown once a moderator has accepted it, and can be redacted."""

Orcid = Annotated[str, Meta(pattern=r"^(?:https://orcid\.org/)?[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]\Z")]
Homepage = Annotated[str, Meta(max_length=200, pattern=r"^https?://[!-~]+\Z")]
Target = Annotated[str, Meta(pattern=r"^(?:sha256:[0-9a-f]{64}|[A-Za-z][A-Za-z0-9_.-]{0,63})\Z")]


@dataclass(frozen=True, slots=True)
class Given:
    """What a form's sender need not say.

    `now` is the time in UTC (`YYYY-MM-DDTHH:MM:SSZ`); `record_sha256` gives the hash of the paper's canonical
    record; `resolved` gives the Pith Number that a name stands for, None where the registry has no such paper.
    """

    now: str
    record_sha256: Callable[[], str]
    resolved: Callable[[str], str | None]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all forms share; private texts stand in the payload plainly, for `Signatory.sign` to hide."""

    def payload(self, given: Given) -> dict[str, Any]:
        """Return the payload; raises MalformedError for what only the whole form shows."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def aim(self) -> str | None:
        """Return the target, where the type leaves a choice."""
        return None


class TimestampAnchorForm(Form, frozen=True):
    """A proof that the paper's canonical record existed by some time.

    `proof_b64` is an `.ots` file or an RFC 3161 reply about the record's `canonical_sha256`. Without a `status`, it
    is taken for confirmed where that can be checked: an RFC 3161 reply, or with the header of a Bitcoin block.
    """

    method: Literal["opentimestamps", "rfc3161"]
    service: Url
    proof_b64: Base64
    status: Literal["pending", "confirmed"] | UnsetType = UNSET
    attested_time: Time | UnsetType = UNSET
    block_header: Annotated[str, Meta(pattern=r"^[0-9a-f]{160}\Z")] | UnsetType = UNSET
    height: Count | UnsetType = UNSET
    upgrades: EventIdText | UnsetType = UNSET

    def payload(self, given: Given) -> dict[str, Any]:
        can_be_checked = self.method == "rfc3161" or isinstance(self.block_header, str)
        return {
            "status": "confirmed" if can_be_checked else "pending",
            **msgspec.to_builtins(self),
            "anchored": {"what": "record", "sha256": given.record_sha256()},
        }


class StorageAttestationForm(Form, frozen=True):
    """Where a copy lies. It is the sender's claim: only a storage checker's key can say that bytes were fetched."""

    url: Url
    kind: Literal["wayback", "memento", "warc", "s3", "swh", "ipfs", "https"] | UnsetType = UNSET
    sha256: Hex64 | UnsetType = UNSET
    bytes: Count | UnsetType = UNSET
    media_type: Annotated[str, Meta(max_length=100, pattern=r"^[!-~]+/[!-~]+\Z")] | UnsetType = UNSET
    captured_at: Time | UnsetType = UNSET
    outcome: Literal["stored", "missing", "changed"] = "stored"

    def payload(self, given: Given) -> dict[str, Any]:
        found: dict[str, Any] = {
            "location": {"kind": self.kind if isinstance(self.kind, str) else _kind_of(self.url), "url": self.url},
            "captured_at": self.captured_at if isinstance(self.captured_at, str) else given.now,
            "grade": "claimed",
            "outcome": self.outcome,
        }
        stated = {"sha256": self.sha256, "bytes": self.bytes}
        missing = [name for name, value in stated.items() if value is UNSET]
        if not missing:
            # RFC 9110, 8.3: what nobody named may be anything.
            media_type = self.media_type if isinstance(self.media_type, str) else "application/octet-stream"
            return {**found, "content": {**stated, "media_type": media_type}}
        if self.outcome != "missing" or len(missing) == 1 or isinstance(self.media_type, str):
            cure = "give sha256 and bytes of what lies there, or the outcome `missing` without either"
            raise MissingFieldError("a copy is named by its hash and its length", place=missing[0], cure=cure)
        return found


class AuthorAttestationForm(Form, frozen=True):
    """Somebody says that they wrote the paper; `orcid`, `affiliation` and `homepage` describe who that is."""

    author_name: Line
    statement: PrivateText
    author_position: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    orcid: Orcid | UnsetType = UNSET
    affiliation: Line | UnsetType = UNSET
    homepage: Homepage | UnsetType = UNSET
    claims: Annotated[list[Line], Meta(max_length=100)] | UnsetType = UNSET

    def payload(self, given: Given) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        described = {name: found.pop(name) for name in ("orcid", "affiliation", "homepage") if name in found}
        if "orcid" in described:
            described["orcid"] = described["orcid"].removeprefix("https://orcid.org/")
        return {**found, "identity": described} if described else found


class CitationForm(Form, frozen=True):
    """What another paper says of this one; `citing` is any name of that paper."""

    citing: Annotated[str, Meta(min_length=1, max_length=2_100)]
    relationship: Relationship
    quote: PrivateText | UnsetType = UNSET
    claim_id: Line | UnsetType = UNSET

    def payload(self, given: Given) -> dict[str, Any]:
        return {**msgspec.to_builtins(self), "citing": _citing(self.citing.strip(), given)}


class FormalForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A statement in a proof system, and the commit that holds its proof."""

    system: Line
    statement: PrivateText
    commit: Line


class ReplicationForm(Form, frozen=True):
    """What came out when somebody tried; artefacts are named by address and hash."""

    kind: Literal["replication", "falsification", "formal_bridge"]
    outcome: Literal["reproduced", "partly_reproduced", "not_reproduced", "inconclusive", "proved"]
    artefacts: Annotated[list[Artefact], Meta(max_length=20)] = []
    formal: FormalForm | UnsetType = UNSET


class ChallengeForm(Form, frozen=True):
    """What somebody doubts, or answers to a doubt; `target` is an event's id or the name of a claim."""

    target: Target
    about: Line
    text: PrivateText
    evidence: PrivateText | UnsetType = UNSET

    def payload(self, given: Given) -> dict[str, Any]:
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "target"}

    def aim(self) -> str:
        return self.target


class WithdrawalForm(Form, frozen=True):
    """Somebody takes back what they said; `target` is the event's id."""

    target: EventIdText
    reason: PrivateText | UnsetType = UNSET

    def payload(self, given: Given) -> dict[str, Any]:
        return {} if self.reason is UNSET else {"reason": self.reason}

    def aim(self) -> str:
        return self.target


FORMS: Final[Mapping[str, type[Form]]] = {
    "timestamp_anchor": TimestampAnchorForm,
    "storage_attestation": StorageAttestationForm,
    "author_attestation": AuthorAttestationForm,
    "citation_signature": CitationForm,
    "replication_record": ReplicationForm,
    "challenge": ChallengeForm,
    "challenge_response": ChallengeForm,
    "withdrawal": WithdrawalForm,
}
"""The event types that may be stated without a key, and the form of each."""


def read(event_type: str, value: Mapping[str, Any]) -> Form:
    """Read a form from a decoded JSON object; null and empty text say nothing, as an empty box on a page does.

    Raises:
        MissingFieldError, UnknownFieldError, InvalidFieldError: with the field.
    """
    kind = FORMS[event_type]
    try:
        return msgspec.convert({name: item for name, item in value.items() if item not in (None, "")}, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind) from None


def texts_of(event_type: str, form: Form) -> dict[str, str]:
    """Return the private texts of a form by their paths in the payload; forms name them alike."""
    found: dict[str, str] = {}
    said = msgspec.to_builtins(form)
    for path in PRIVATE_FIELDS.get(event_type, ()):
        value: Any = said
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            found[path] = value
    return found


def in_form(error: LedgerError) -> LedgerError:
    """Let an error about an event name the form's field instead of the event's."""
    for start in ("payload.location.", "payload.content.", "payload.", "disclosures."):
        if error.place.startswith(start):
            error.place = error.place.removeprefix(start)
            break
    return error


def _citing(name: str, given: Given) -> str:
    """Return a Pith Number, or where the registry has no such paper the name in normal form as `kind:value`."""
    if found := given.resolved(name):
        return found
    if is_number(name):
        return name
    for alias in interpret(name):
        if alias.kind == "arxiv_version":
            return f"arxiv:{alias.value.rpartition('v')[0]}"
        return f"{alias.kind}:{alias.value}"
    raise InvalidFieldError(
        f"{name[:80]!r} names no paper",
        place="citing",
        cure="give a Pith Number, an arXiv id, a DOI, an ACL Anthology id, pmid:… or an address",
    )


def _kind_of(url: str) -> str:
    """Return the kind of archive that an address tells of itself."""
    try:
        found = urlsplit(url)
    except ValueError:
        raise InvalidFieldError("no address that can be taken apart", place="url") from None
    match found.scheme, found.hostname:
        case ("s3" | "ipfs" | "swh") as kind, _:
            return kind
        case "http" | "https", "web.archive.org":
            return "wayback"
        case "http" | "https", "archive.softwareheritage.org":
            return "swh"
        case "http" | "https", str():
            return "https"
    raise MissingFieldError("the address does not tell what kind of archive it is of", place="kind")


SHOWN: Final = 80
"""How many characters of what was sent an error repeats."""

_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]+)`")
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")


def _explained(message: str, kind: type[Form]) -> MalformedError:
    path = found[1] if (found := _PATH.search(message)) else ""
    message = _PATH.sub("", message)
    cure = f"the fields are {', '.join(kind.__struct_fields__)}" if not path else ""
    if found := _MISSING.search(message):
        return MissingFieldError(f"{found[1]} is missing", place=f"{path}.{found[1]}".lstrip("."), cure=cure)
    if found := _UNKNOWN.search(message):
        name = found[1][:SHOWN]
        return UnknownFieldError(f"there is no field {name}", place=f"{path}.{name}".lstrip("."), cure=cure)
    message = message[:1].lower() + message[1 : 3 * SHOWN]
    return InvalidFieldError(message, place=path[:SHOWN], cure=_wanted(kind, path))


def _wanted(kind: type[Form], path: str) -> str:
    """Return what a field takes: its words, where it takes only some."""
    _, schemas = msgspec.json.schema_components([kind], ref_template="{name}")
    field = schemas[kind.__name__]["properties"].get(path.partition(".")[0].partition("[")[0], {})
    words = [word for one in (field, *field.get("anyOf", ())) for word in one.get("enum", ())]
    return f"give one of {', '.join(words)}" if words else "see /schema for the form of this field"
