"""What is owed to sources, and withdrawals that full dumps suggest"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("run") as run:
        run.add_column(sa.Column("settled_at", sa.DateTime(), nullable=True))
    op.create_table(
        "withdrawal_sighting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("record_key", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_withdrawal_sighting_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal_sighting")),
        sa.UniqueConstraint(
            "feed", "business_date", "record_key", name=op.f("uq_withdrawal_sighting_feed_business_date_record_key")
        ),
    )
    for column in ("feed", "record_key", "run"):
        op.create_index(op.f(f"ix_withdrawal_sighting_{column}"), "withdrawal_sighting", [column], unique=False)


def downgrade() -> None:
    for column in ("run", "record_key", "feed"):
        op.drop_index(op.f(f"ix_withdrawal_sighting_{column}"), table_name="withdrawal_sighting")
    op.drop_table("withdrawal_sighting")
    with op.batch_alter_table("run") as run:
        run.drop_column("settled_at")
