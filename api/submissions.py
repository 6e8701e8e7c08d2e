"""`POST /api/events`: one signed event, or up to a thousand as JSON lines; answered when they are durable.

The event's own signature says who sent it, so nothing else is asked for. The same event again, from anybody at any
time, is the same entry: 200 instead of 201.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from api.parts import Parts
from api.problems import NotOfferedError, UnsupportedMediaError, kind_of, places, status_of
from api.submitting import Answered, Intake
from ledger import canonical
from ledger.commitments import Disclosure
from ledger.errors import InvalidFieldError, LedgerError, SubmissionError, TooLargeError
from ledger.events import from_decoded
from ledger.store import Store, Submission

MAX_LINES: Final = 1_000
MAX_LINE_BYTES: Final = canonical.MAX_EVENT_BYTES + 64 * 1024
"""An event with the private texts beside it."""

MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
JSON: Final = "application/json"
LINES: Final = ("application/x-ndjson", "application/jsonl", "application/json-lines")

Asked = Request[Any, Any, Any]


class _Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event with the private texts that it commits to, by their paths in the payload."""

    event: dict[str, Any]
    disclosures: dict[str, Disclosure] = {}


def submission_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the route that takes signed events."""

    @post("/api/events", request_max_body_size=MAX_BATCH_BYTES)
    async def submit(request: Asked) -> Response[bytes]:
        intake = intake_of(parts)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in LINES:
            lines = split(await request.body())
            return _json(HTTPStatus.OK, await asyncio.to_thread(_append_lines, parts.store, intake, lines))
        if kind != JSON:
            raise UnsupportedMediaError(
                f"{kind[:80] or 'no content type'} is not read here", cure=f"send {JSON}, or {LINES[0]}"
            )
        return answer_of(await submit_event(parts, await request.body()))

    return [submit]


def intake_of(parts: Parts) -> Intake:
    """Return what takes submissions; raises NotOfferedError on a mirror."""
    if parts.intake is None:
        raise NotOfferedError("this is a mirror, which takes nothing of its own", cure="send it to the registry itself")
    return parts.intake


async def submit_event(parts: Parts, body: bytes) -> Answered:
    """Append one event from the JSON text of itself, or of `{event, disclosures}`.

    Raises:
        SubmissionError: why it is refused.
        StoreError: the log cannot be written to.
    """
    intake = intake_of(parts)
    return await intake.submit(parts.store.verify(submission_of(body)))


def submission_of(body: bytes) -> Submission:
    """Read one event from JSON text, bare or as `{"event": …, "disclosures": {path: {salt, text}}}`.

    Raises:
        MalformedError: the text is no event's.
    """
    value = canonical.decode(body, max_bytes=MAX_LINE_BYTES)
    if not isinstance(value, dict) or "event" not in value:
        return Submission(from_decoded(value))
    try:
        wrapped = msgspec.convert(value, _Wrapped)
    except msgspec.ValidationError as error:
        raise InvalidFieldError(str(error)[:200], cure="send the event, or {event, disclosures}") from None
    return Submission(from_decoded(wrapped.event), wrapped.disclosures)


def answer_of(answered: Answered) -> Response[bytes]:
    """Answer one appended event: 201, or 200 where the log had it already."""
    status = HTTPStatus.CREATED if answered.appended.created else HTTPStatus.OK
    return _json(status, answered.to_json())


def split(body: bytes) -> list[bytes]:
    """Return the lines of a body, the empty ones left out; raises TooLargeError for more than a thousand."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > MAX_LINES:
        raise TooLargeError(f"{len(lines)} lines, at most {MAX_LINES} are taken", cure="send them in several requests")
    return lines


def _append_lines(store: Store, intake: Intake, lines: list[bytes]) -> bytes:
    """Append events together; return one line of JSON for each, in order: its answer, or the problem it has."""
    checked: list[Submission | LedgerError] = []
    for line in lines:
        try:
            checked.append(store.verify(submission_of(line)))
        except SubmissionError as error:
            checked.append(error)
    good = [submission for submission in checked if isinstance(submission, Submission)]
    results = iter(intake.append_all(good) if good else [])
    answers: list[bytes] = []
    for submission in checked:
        result = submission if isinstance(submission, LedgerError) else next(results)
        answers.append(result.to_json() if isinstance(result, Answered) else _problem_line(result))
    return b"".join(answer + b"\n" for answer in answers)


def _problem_line(error: LedgerError) -> bytes:
    facts = {"type": kind_of(error), "status": status_of(error).value, "detail": error.message, **places(error)}
    return msgspec.json.encode(facts)


def _json(status: HTTPStatus, body: bytes) -> Response[bytes]:
    return Response(body, status_code=status, headers={"content-type": JSON, "cache-control": "no-store"})
