"""The private tables as release 0.1 made them, each where it is missing: that release made them one by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "private_0001"
down_revision = None
branch_labels = None
depends_on = None

KEY64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "evidence_texts",
        sa.Column("event_id", sa.String(71), nullable=False),
        sa.Column("salt", sa.String(43), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
        if_not_exists=True,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.LargeBinary(32), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("salts", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("scope"),
        if_not_exists=True,
    )
    op.create_index("ix_idempotency_keys_made_at", "idempotency_keys", ["made_at"], if_not_exists=True)
    op.create_table(
        "letters",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("code", sa.LargeBinary(32), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("sent_at", KEY64, nullable=False),
        sa.Column("expires_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        if_not_exists=True,
    )
    op.create_index("ix_letters_expires_at", "letters", ["expires_at"], if_not_exists=True)
    op.create_table(
        "login_flows",
        sa.Column("flow_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("state_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("browser_sha256", sa.LargeBinary(32), nullable=True),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("return_to", sa.String(200), nullable=False),
        sa.Column("expires_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("flow_sha256"),
        sa.UniqueConstraint("state_sha256"),
        if_not_exists=True,
    )
    op.create_index("ix_login_flows_expires_at", "login_flows", ["expires_at"], if_not_exists=True)
    op.create_table(
        "operator_tokens",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", KEY64, nullable=False),
        sa.Column("revoked_at", KEY64, nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("token_sha256"),
        if_not_exists=True,
    )
    op.create_table(
        "request_nonces",
        sa.Column("nonce", sa.String(90), nullable=False),
        sa.Column("expires_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("nonce"),
        if_not_exists=True,
    )
    op.create_index("ix_request_nonces_expires_at", "request_nonces", ["expires_at"], if_not_exists=True)
    op.create_table(
        "requests",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("suffix", sa.String(26), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("asked_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "suffix", "url"),
        if_not_exists=True,
    )
    op.create_index("ix_requests_asked_at", "requests", ["asked_at"], if_not_exists=True)
    op.create_table(
        "secrets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_table(
        "sendings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("whom", sa.String(80), nullable=False),
        sa.Column("at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("ix_sendings_at", "sendings", ["at"], if_not_exists=True)
    op.create_index("ix_sendings_whom", "sendings", ["whom"], if_not_exists=True)
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("expires_at", KEY64, nullable=False),
        sa.PrimaryKeyConstraint("token_sha256"),
        if_not_exists=True,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], if_not_exists=True)
