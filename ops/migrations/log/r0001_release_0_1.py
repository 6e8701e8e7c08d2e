"""The log as release 0.1 made it, and the same in PostgreSQL, which that release did not know.

Guards are no part of any version: each upgrade makes them anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "log_0001"
down_revision = None
branch_labels = None
depends_on = None

KEY64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ANY_TEXT = sa.String().with_variant(sa.LargeBinary(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("size", KEY64, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("size"),
        if_not_exists=True,
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", KEY64, autoincrement=False, nullable=False),
        sa.Column("verifier", sa.String(400).with_variant(sa.Text(), "postgresql"), nullable=False),
        sa.Column("line", sa.String(800).with_variant(sa.Text(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("size", "verifier"),
        if_not_exists=True,
    )
    op.create_table(
        "disclosures",
        sa.Column("id", KEY64, sa.Identity(), nullable=False),
        sa.Column("position", KEY64, nullable=False),
        sa.Column("path", sa.String(40), nullable=False),
        sa.Column("salt", sa.String(43), nullable=False),
        sa.Column("text", ANY_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("position", "path"),
        if_not_exists=True,
    )
    op.create_table(
        "events",
        sa.Column("position", KEY64, autoincrement=False, nullable=False),
        sa.Column("received_at", KEY64, nullable=False),
        sa.Column("event_key", KEY64, nullable=False),
        sa.Column("subject_key", KEY64, nullable=False),
        sa.Column("event_type", sa.String(24), nullable=False),
        sa.Column("event_id", sa.LargeBinary(32), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        if_not_exists=True,
    )
    op.create_index("ix_events_event_key", "events", ["event_key"], if_not_exists=True)
    op.create_index("ix_events_subject", "events", ["subject_key", "position"], if_not_exists=True)
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("registry_name", sa.String(63), nullable=False),
        sa.Column("size", KEY64, nullable=False),
        sa.Column("received_at", KEY64, nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_table(
        "publications",
        sa.Column("size", KEY64, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("size"),
        if_not_exists=True,
    )
    op.create_table(
        "tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", KEY64, autoincrement=False, nullable=False),
        sa.Column("nodes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number"),
        if_not_exists=True,
    )
