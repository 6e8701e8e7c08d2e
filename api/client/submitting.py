"""Signed events on their way to a registry: many in few requests, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from api.client.answers import JSON, LINES, Taken, decoded_json
from api.client.exchange import Answer
from api.client.problems import Problem, error_of_problem
from ledger.appending import Submission
from ledger.errors import LedgerError, SourceUnreadableError

MAX_LINES: Final = 1_000
MAX_BATCH_BYTES: Final = 4 << 20
"""Half of what a registry takes in one request."""


class _Line(msgspec.Struct, frozen=True):
    type: str | msgspec.UnsetType = msgspec.UNSET


def body_of(submission: Submission) -> bytes:
    """Return a submission as one line of JSON, its event with the exact signed bytes."""
    event = submission.event.raw
    if not submission.disclosures:
        return event
    return b'{"event":%b,"disclosures":%b}' % (event, msgspec.json.encode(submission.disclosures))


def batches(
    submissions: Iterable[Submission], most: int = MAX_LINES, limit: int = MAX_BATCH_BYTES
) -> Iterator[tuple[list[Submission], bytes]]:
    """Yield submissions in order, in groups that fit into one request, each with the request's body."""
    group: list[Submission] = []
    lines: list[bytes] = []
    size = 0
    for submission in chain(submissions, [None]):
        line = b"" if submission is None else body_of(submission) + b"\n"
        if group and (submission is None or len(group) == most or size + len(line) > limit):
            yield group, b"".join(lines)
            group, lines, size = [], [], 0
        if submission is not None:
            group.append(submission)
            lines.append(line)
            size += len(line)


def results_of(answer: Answer, group: Sequence[Submission]) -> list[Taken | LedgerError]:
    """Read what became of each submission of a group; raises SourceUnreadableError for anything else than that."""
    if answer.kind not in (LINES, JSON):
        raise SourceUnreadableError(f"it answers with {answer.kind[:80] or 'no content type'}, not {LINES}")
    lines = answer.content.splitlines()
    if len(lines) != len(group):
        raise SourceUnreadableError(f"it answers with {len(lines)} lines to {len(group)} events")
    return [_result(line) for line in lines]


def _result(line: bytes) -> Taken | LedgerError:
    if decoded_json(line, _Line).type is msgspec.UNSET:
        return decoded_json(line, Taken)
    return error_of_problem(decoded_json(line, Problem), 0)
