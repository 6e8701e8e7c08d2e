"""What each outside clock was asked for, and how it has been answering.

A row of `anchors` goes from `owed` (asked for, not submitted yet) to `pending` (promised), and to `confirmed` or
`failed` (given up); a timestamp authority confirms at once, and what its certificate confirmed is `renewed` when that
certificate ends soon and one that lasts longer has confirmed a greater checkpoint. There is one row for each content
and service, whatever happens. All times are microseconds since 1970, UTC.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Text
from sqlmodel import Field

from ledger.tables import Key64, table_of
from ops.jobs.tables import JobTable, Words

OWED: Final = "owed"
PENDING: Final = "pending"
CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"
RENEWED: Final = "renewed"

NOT_REFUSED: Final = -1
"""In `refused_under`: nothing was refused."""


class AnchorRow(JobTable, table=True):
    """One content at one service.

    `sha256` is hex. `what` is `checkpoint` (then `tree_size` and `note` say which) or `record` (then `subject` does).
    `event_id` is that of the newest pending event in the log, which a later one upgrades; None until it stands there.
    `submitted_at` is 0 where nothing is promised yet. `told` says that the log holds a failed event, which is said
    only once. `ends_at` is when the certificate ends that signed an authority's reply, 0 where none says.
    `refused_under` is the position of the policy under which it was refused: another one ends the rest until `try_at`.
    `failures` counts in how many looks in a row its service did not answer as it should, from `failing_since` on.
    `attested_time` and `height` (of the block, 0 where there is none) are of a confirmed one.
    """

    __tablename__ = "anchors"
    __table_args__ = (Index("ix_anchors_state", "state", "service"),)

    service: str = Field(max_length=2_000, primary_key=True)
    sha256: str = Field(max_length=64, primary_key=True)
    method: str = Field(max_length=20)
    what: str = Field(max_length=12)
    subject: str = Field(max_length=80)
    tree_size: int = Field(sa_column=Column(Key64, nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(max_length=12)
    proof: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    event_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))
    owed_at: int = Field(sa_column=Column(Key64, nullable=False))
    submitted_at: int = Field(sa_column=Column(Key64, nullable=False))
    tries: int
    try_at: int = Field(sa_column=Column(Key64, nullable=False))
    said: str = Field(sa_column=Column(Words, nullable=False))
    told: bool
    failures: int
    failing_since: int = Field(sa_column=Column(Key64, nullable=False))
    ends_at: int = Field(sa_column=Column(Key64, nullable=False))
    refused_under: int = Field(sa_column=Column(Key64, nullable=False))
    attested_time: str = Field(max_length=20)
    height: int


class ClockRow(JobTable, table=True):
    """How a service has been answering: failures in a row, when it was last asked, and from when on it is again.

    `stamped_at` is when it last took a checkpoint. `refused_under` is the position of the policy under which it
    refused, or answered what that policy does not accept.
    """

    __tablename__ = "clocks"

    service: str = Field(max_length=2_000, primary_key=True)
    failures: int
    tried_at: int = Field(sa_column=Column(Key64, nullable=False))
    try_at: int = Field(sa_column=Column(Key64, nullable=False))
    stamped_at: int = Field(sa_column=Column(Key64, nullable=False))
    said: str = Field(sa_column=Column(Words, nullable=False))
    refused_under: int = Field(sa_column=Column(Key64, nullable=False))


ANCHORS: Final = table_of(AnchorRow)
CLOCKS: Final = table_of(ClockRow)
