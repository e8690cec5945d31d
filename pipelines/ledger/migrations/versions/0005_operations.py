"""Operations: the hash chain of what was published, the order of publications, and backfills"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


# Until now their instants told in which order the runs of a feed were published.
_NUMBERED = """
UPDATE run SET publication = (
    SELECT count(*) FROM run AS other
    WHERE other.feed = run.feed AND other.state = 'published'
      AND (other.finished_at < run.finished_at OR (other.finished_at = run.finished_at AND other.id <= run.id))
)
WHERE state = 'published'
"""


def upgrade() -> None:
    with op.batch_alter_table("run") as changed:
        changed.add_column(sa.Column("publication", sa.Integer(), nullable=True))
        changed.create_unique_constraint(changed.f("uq_run_feed_publication"), ["feed", "publication"])
    op.execute(_NUMBERED)
    op.create_table(
        "chain_entry",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=140), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_chain_entry")),
        sa.UniqueConstraint("hash", name=op.f("uq_chain_entry_hash")),
    )
    op.create_index("ix_chain_entry_subject", "chain_entry", ["subject"])
    chain_head = op.create_table(
        "chain_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_head")),
    )
    # Whoever appends locks the head; a row that is not there yet could not be locked by two at once.
    op.bulk_insert(chain_head, [{"id": 1, "position": 0, "hash": "0" * 64}])
    op.create_table(
        "backfill_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("replay", sa.String(length=10), nullable=False),
        sa.Column("reprocess", sa.String(length=20), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("basis", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_plan")),
    )
    op.create_index(op.f("ix_backfill_plan_state"), "backfill_plan", ["state"])
    op.create_table(
        "backfill_slice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempts_before", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=True),
        sa.Column("expected", sa.JSON(), nullable=True),
        sa.Column("actual", sa.JSON(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["plan"], ["backfill_plan.id"], name=op.f("fk_backfill_slice_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_slice")),
        sa.UniqueConstraint("plan", "feed", "business_date", name=op.f("uq_backfill_slice_plan_feed_business_date")),
    )
    op.create_index(op.f("ix_backfill_slice_plan"), "backfill_slice", ["plan"])
    op.create_index("ix_run_feed_state", "run", ["feed", "state", "finished_at"])
    owed = sa.text("settled_at IS NULL")
    op.create_index("ix_run_owed", "run", ["feed"], sqlite_where=owed, postgresql_where=owed)


def downgrade() -> None:
    op.drop_index("ix_run_owed", table_name="run")
    op.drop_index("ix_run_feed_state", table_name="run")
    op.drop_index(op.f("ix_backfill_slice_plan"), table_name="backfill_slice")
    op.drop_table("backfill_slice")
    op.drop_index(op.f("ix_backfill_plan_state"), table_name="backfill_plan")
    op.drop_table("backfill_plan")
    op.drop_table("chain_head")
    op.drop_index("ix_chain_entry_subject", table_name="chain_entry")
    op.drop_table("chain_entry")
    with op.batch_alter_table("run") as changed:
        changed.drop_constraint(changed.f("uq_run_feed_publication"), type_="unique")
        changed.drop_column("publication")
