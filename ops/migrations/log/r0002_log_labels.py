"""A registry may have several logs: the head says which one this is. What a release before kept is a first log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "log_0002"
down_revision = "log_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("log_head") as table:
        table.add_column(sa.Column("log_label", sa.String(31), server_default="", nullable=False))
