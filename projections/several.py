"""What a name means where a registry has several logs: each is asked by itself, and the answers are weighed here.

A paper's record stands in one log. Versions of one work may stand in several, such as one log a year: a name without a
version then means the greatest of all, as it does within one log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from ledger.errors import AmbiguousError, NotFoundError
from projections.queries import Named

Where = TypeVar("Where")
"""Whatever tells the logs apart for who asks."""


def meant(
    name: str, found: Sequence[tuple[Where, Named]], ambiguous: Iterable[AmbiguousError] = ()
) -> tuple[Where, Named]:
    """Return the paper that a name means, and where it is.

    Args:
        found: what each log has of that name, the log that is preferred first.
        ambiguous: what logs answered that have several papers of that name.

    Raises:
        NotFoundError: no log has any.
        AmbiguousError: it names different papers; `choices` are those of all logs.
    """
    faults = list(ambiguous)
    first: dict[str, tuple[Where, Named]] = {}
    for where, named in found:
        first.setdefault(named.subject, (where, named))
    papers = list(first.values())
    if not papers and not faults:
        raise NotFoundError(f"nothing here is called {name[:80]!r}")
    works = {named.work for _, named in papers}
    if faults or (len(papers) > 1 and (len(works) > 1 or None in works)):
        choices = {choice for fault in faults for choice in fault.choices} | set(first)
        raise AmbiguousError(f"{name[:80]!r} names several papers", sorted(choices), cure="take one of these")
    papers.sort(key=lambda paper: -paper[1].version)
    where, newest = papers[0]
    older = [subject for _, named in papers for subject in (named.subject, *named.other_versions)]
    others = tuple(dict.fromkeys(subject for subject in older if subject != newest.subject))
    return where, replace(newest, other_versions=others)
