"""The worker's tables as release 0.1 made them, each where it is missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "jobs_0001"
down_revision = None
branch_labels = None
depends_on = None

KEY64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "anchors",
        sa.Column("service", sa.String(2000), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("method", sa.String(20), nullable=False),
        sa.Column("what", sa.String(12), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("tree_size", KEY64, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(32), nullable=True),
        sa.Column("owed_at", KEY64, nullable=False),
        sa.Column("submitted_at", KEY64, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("try_at", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", KEY64, nullable=False),
        sa.Column("ends_at", KEY64, nullable=False),
        sa.Column("refused_under", KEY64, nullable=False),
        sa.Column("attested_time", sa.String(20), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("service", "sha256"),
        if_not_exists=True,
    )
    op.create_index("ix_anchors_state", "anchors", ["state", "service"], if_not_exists=True)
    op.create_table(
        "brought",
        sa.Column("day", KEY64, nullable=False),
        sa.Column("bytes", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("day"),
        if_not_exists=True,
    )
    op.create_table(
        "clocks",
        sa.Column("service", sa.String(2000), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("tried_at", KEY64, nullable=False),
        sa.Column("try_at", KEY64, nullable=False),
        sa.Column("stamped_at", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("refused_under", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("service"),
        if_not_exists=True,
    )
    op.create_table(
        "copies",
        sa.Column("id", KEY64, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("looked_at", KEY64, nullable=False),
        sa.Column("next_at", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("suspect", sa.String(80), nullable=False),
        sa.Column("suspect_at", KEY64, nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "kind", "url"),
        if_not_exists=True,
    )
    op.create_index("ix_copies_next_at", "copies", ["next_at"], if_not_exists=True)
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("position", KEY64, nullable=False),
        sa.Column("event_id", sa.LargeBinary(32), nullable=True),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("expires_at", KEY64, nullable=False),
        sa.Column("fence", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
    op.create_table(
        "outbox",
        sa.Column("id", KEY64, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.LargeBinary(32), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("disclosures", sa.Text(), nullable=False),
        sa.Column("key_name", sa.String(40), nullable=False),
        sa.Column("put_at", KEY64, nullable=False),
        sa.Column("try_at", KEY64, nullable=False),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        if_not_exists=True,
    )
    op.create_table(
        "preservations",
        sa.Column("id", KEY64, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("place", sa.String(120), nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("asked_at", KEY64, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("job", sa.String(200), nullable=False),
        sa.Column("begun_at", KEY64, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("gone_at", KEY64, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "url", "place"),
        if_not_exists=True,
    )
    op.create_index("ix_preservations_next_at", "preservations", ["next_at"], if_not_exists=True)
    op.create_index("ix_preservations_request_id", "preservations", ["request_id"], if_not_exists=True)
    op.create_table(
        "requests",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("suffix", sa.String(26), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("asked_at", KEY64, nullable=False),
        sa.Column("done_at", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_requests_kind", "requests", ["kind"], if_not_exists=True)
    op.create_table(
        "resting_places",
        sa.Column("place", sa.String(120), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", KEY64, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
        if_not_exists=True,
    )
    op.create_table(
        "runs",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("started_at", KEY64, nullable=False),
        sa.Column("ended_at", KEY64, nullable=False),
        sa.Column("next_at", KEY64, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
    op.create_table(
        "workers",
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("since", KEY64, nullable=False),
        sa.Column("seen_at", KEY64, nullable=False),
        sa.Column("jobs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("holder"),
        if_not_exists=True,
    )
