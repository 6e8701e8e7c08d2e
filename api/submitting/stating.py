"""From a form to an event in the log: signed by the registry on its sender's behalf, appended, and answered for.

Who is behind a form is a pseudonym (`api.identity.persons`); under an `Idempotency-Key`, the same form again is the
same event and the same person. Everything here is for worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response

from api.front.rates import client_of
from api.identity.persons import PERSON_HEADER, Person, person_of
from api.parts import Parts
from api.reading.names import resolved
from api.submitting import forms, idempotency
from api.submitting.intake import Answered
from api.submitting.submissions import answer_of, intake_of, note
from ledger.appending import Submission
from ledger.errors import (
    AmbiguousError,
    InvalidFieldError,
    NotFoundError,
    OtherLogError,
    SignerNotAllowedError,
    SubmissionError,
)
from ledger.subjects import parse_suffix
from projections import queries

Asked = Request[Any, Any, Any]

MESSAGES: Final[Mapping[str, str]] = {
    "held": "it is in the log for good, and held: it does not count before a moderator has accepted it",
    "counted": "it is in the log for good, and counts",
    "rejected": "it is in the log, and a moderator has rejected it",
    "redacted": "it is in the log, and a moderator has redacted it",
    "withdrawn": "it is in the log, and was withdrawn",
    "revoked": "it is in the log, and does not count: the registry's key was revoked",
}
KEEP_IT: Final = (
    f"keep `person` secret and safe: sent as {PERSON_HEADER} it shows that you are the same person, which is needed to "
    "withdraw this or to answer for it; the registry does not keep it and cannot give it again"
)


def state(request: Asked, parts: Parts, event_type: str, suffix: str, value: Mapping[str, Any]) -> Response[bytes]:
    """Append what a form says about the paper with a suffix, or with one that begins so.

    Raises:
        NotFoundError, AmbiguousError: the suffix is that of no paper, or begins several.
        SubmissionError: why it is refused, with the form's field.
        RefusedError: the asker is not let in, or the key was sent with another form.
    """
    subject = paper_of(parts, suffix)
    form = forms.read(event_type, value)
    key = idempotency.read_key(request.headers.getall(idempotency.HEADER, []))
    try:
        if key is None:
            person = person_of(request, parts)
            answered = _append(parts, _sign(parts, person, event_type, subject, form))
        else:
            person, answered = _repeatable(request, parts, key, event_type, subject, form)
    except SubmissionError as error:
        note(request, [error])
        if isinstance(error, SignerNotAllowedError):
            error.cure = f"send the {PERSON_HEADER} of the person who said it, or sign with their key"
        raise forms.in_form(error) from None
    note(request, [answered])
    return _answer(parts, answered, person)


def paper_of(parts: Parts, suffix: str) -> str:
    """Return the Pith Number of the paper with a suffix, or with one that begins so.

    Raises:
        NotFoundError, AmbiguousError: it is that of no paper, or begins several.
        InOtherLogError: the paper is in another log of the registry, which takes what is said about it.
        OtherLogError: it may be in another log, which cannot be read now.
    """
    if parse_suffix(suffix) is None:
        raise NotFoundError(f"{suffix[:80]!r} is the suffix of no Pith Number", cure="give 8 to 26 of its characters")
    log, named = resolved(parts, suffix)
    if log is not None:
        raise log.led()
    return named.subject


def _repeatable(
    request: Asked, parts: Parts, key: str, event_type: str, subject: str, form: forms.Form
) -> tuple[Person, Answered]:
    """Append what a key stands for: the event of an earlier request with this very form, else a new one."""
    person, attempt = _attempt(request, parts, key, subject, event_type, msgspec.json.encode(form))
    kept = idempotency.known(parts.private, attempt, parts.clock())
    if kept is None:
        made = _sign(parts, person, event_type, subject, form)
        kept = idempotency.keep(parts.private, attempt, made.event, made.disclosures, parts.clock())
    try:
        texts = forms.texts_of(event_type, form)
        answered = _append(parts, Submission(kept.event, kept.disclosures(texts), verified=True))
    except SubmissionError:
        idempotency.forget(parts.private, attempt, kept.event)
        raise
    idempotency.settle(parts.private, attempt)
    return person, answered


def attempt_of(
    request: Asked, parts: Parts, key: str | None, subject: str, event_type: str, body: bytes
) -> tuple[Person, idempotency.Attempt | None]:
    """Return who asks, and under a key also what is attempted; raises as `person_of` does."""
    if key is None:
        return person_of(request, parts), None
    return _attempt(request, parts, key, subject, event_type, body)


def _attempt(
    request: Asked, parts: Parts, key: str, subject: str, event_type: str, body: bytes
) -> tuple[Person, idempotency.Attempt]:
    path, client = f"{subject}/{event_type}", client_of(request.scope["client"])
    person = person_of(request, parts, msgspec.json.encode([key, client, path, body.decode()]).decode())
    asker = f"{person.kind} {person.subject}" if person.secret is None else f"client {client}"
    return person, idempotency.Attempt.of(parts.private, key, asker, path, body)


def _sign(parts: Parts, person: Person, event_type: str, subject: str, form: forms.Form) -> Submission:
    def cited(name: str) -> str | None:
        try:
            _, named = parts.others.resolve(name, parts.projections, lambda database: queries.resolve(database, name))
        except (NotFoundError, OtherLogError):
            return None  # what is cited then stands under the name that was given
        except AmbiguousError as error:
            cure = f"give one of {', '.join(error.choices)}"
            raise InvalidFieldError(error.message, place="citing", cure=cure) from None
        return named.subject

    def record_sha256() -> str:
        found: str = msgspec.json.decode(queries.record(parts.projections, subject, 0)["canonical_sha256"])
        return found

    signatory = intake_of(parts).signatory
    event, disclosures = signatory.sign(
        event_type,
        subject,
        form.payload(forms.Given(signatory.now(), record_sha256, cited)),
        target=form.aim(),
        on_behalf_of={"kind": person.kind, "subject": person.subject},
    )
    return Submission(event, disclosures, verified=True)


def _append(parts: Parts, submission: Submission) -> Answered:
    (result,) = intake_of(parts).append_all([parts.store.verify(submission)])
    if isinstance(result, SubmissionError):
        raise result
    return result


def _answer(parts: Parts, answered: Answered, person: Person) -> Response[bytes]:
    """Say what became of a form, beside what is said of any appended event."""
    entry = answered.appended.entry
    subject, size = entry.event.subject, parts.store.head().size
    judged = queries.judged_as_of(parts.store, subject, size, parts.present.registry_at(size))
    status = next(found.verdict.status for found in judged.judgements if found.entry.position == entry.position)
    address = parts.settings.base_url
    further = {
        "status": status,
        "message": MESSAGES[status],
        "status_address": f"{address}/pith/{subject[10:]}.json",
        "receipt_address": f"{address}/api/receipts/{entry.event.id_text}",
    }
    if person.secret is not None:
        further |= {"person": person.secret, "person_message": KEEP_IT}
    answer = answer_of(answered)
    answer.content = answer.content[:-1] + b"," + msgspec.json.encode(further)[1:]
    return answer
