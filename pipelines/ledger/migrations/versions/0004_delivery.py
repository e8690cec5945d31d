"""Delivery and the clock: acts on records, breakers, reconciliation, audited deadlines, digests"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OLD_KEY = ["endpoint", "feed", "record_key", "version"]
_NEW_KEY = [*_OLD_KEY, "act"]


def upgrade() -> None:
    with op.batch_alter_table("package") as changed:
        changed.add_column(sa.Column("family", sa.String(length=12), nullable=False, server_default="content"))
        changed.add_column(sa.Column("shape", sa.String(length=40), nullable=False, server_default=""))
        changed.add_column(sa.Column("reference", sa.String(length=200), nullable=True))
        changed.add_column(sa.Column("round", sa.Integer(), nullable=False, server_default="0"))
        changed.add_column(sa.Column("offers", sa.Integer(), nullable=False, server_default="0"))
        changed.add_column(sa.Column("offered_at", sa.DateTime(), nullable=True))
        changed.create_unique_constraint(changed.f("uq_package_endpoint_reference"), ["endpoint", "reference"])
    # What older versions sent, they sent under its id, and did not note when they began to.
    op.execute("UPDATE package SET reference = id, offers = 1, offered_at = coalesce(sent_at, created_at)")
    with op.batch_alter_table("outbox") as changed:
        changed.add_column(sa.Column("act", sa.Integer(), nullable=False, server_default="0"))
        changed.add_column(sa.Column("family", sa.String(length=12), nullable=False, server_default="content"))
        changed.add_column(sa.Column("reason", sa.String(length=20), nullable=True))
        changed.add_column(sa.Column("policy", sa.String(length=60), nullable=True))
        changed.add_column(sa.Column("withdrawn_at", sa.DateTime(), nullable=True))
        changed.add_column(sa.Column("reconciled_at", sa.DateTime(), nullable=True))
        changed.add_column(sa.Column("line", sa.Integer(), nullable=True))
        changed.alter_column("operation", type_=sa.String(length=20), existing_nullable=False)
        changed.drop_constraint(changed.f("uq_outbox_endpoint_feed_record_key_version"), type_="unique")
        changed.create_unique_constraint(changed.f("uq_outbox_endpoint_feed_record_key_version_act"), _NEW_KEY)
    known = sa.text("upper_id IS NOT NULL")
    op.create_index(
        "ix_outbox_upper_id", "outbox", ["endpoint", "upper_id"], sqlite_where=known, postgresql_where=known
    )

    later = sa.text("version > 1 OR act > 0")
    op.create_index("ix_outbox_later", "outbox", ["record_key"], sqlite_where=later, postgresql_where=later)

    op.create_table(
        "record_act",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("record_key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_act")),
    )
    op.create_index("ix_record_act_record", "record_act", ["category", "record_key"], unique=False)
    op.create_index(op.f("ix_record_act_feed"), "record_act", ["feed"], unique=False)

    op.create_table(
        "endpoint_state",
        sa.Column("endpoint", sa.String(length=60), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=True),
        sa.Column("retry_at", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_endpoint_state")),
    )

    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(length=60), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("ours", sa.Integer(), nullable=False),
        sa.Column("theirs", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_index("ix_reconciliation_of", "reconciliation", ["endpoint", "category", "started_at"], unique=False)
    op.create_table(
        "difference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reconciliation", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(length=60), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=True),
        sa.Column("record_key", sa.String(length=64), nullable=True),
        sa.Column("upper_id", sa.String(length=100), nullable=True),
        sa.Column("outbox_id", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(), nullable=True),
        sa.Column("resolution", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["reconciliation"], ["reconciliation.id"], name=op.f("fk_difference_reconciliation")),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_difference_outbox_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_difference")),
    )
    op.create_index("ix_difference_open", "difference", ["endpoint", "resolved_at"], unique=False)
    op.create_index(op.f("ix_difference_reconciliation"), "difference", ["reconciliation"], unique=False)

    op.create_table(
        "package_row",
        sa.Column("package", sa.String(length=64), nullable=False),
        sa.Column("outbox_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["package"], ["package.id"], name=op.f("fk_package_row_package")),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_package_row_outbox_id")),
        sa.PrimaryKeyConstraint("package", "outbox_id", name=op.f("pk_package_row")),
    )
    op.create_index(op.f("ix_package_row_outbox_id"), "package_row", ["outbox_id"], unique=False)
    # Of what older versions sent, only the latest package is known.
    op.execute("INSERT INTO package_row (package, outbox_id) SELECT package, id FROM outbox WHERE package IS NOT NULL")

    op.create_table(
        "deadline_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("before", sa.String(length=40), nullable=True),
        sa.Column("after", sa.String(length=40), nullable=False),
        sa.Column("examined", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deadline_change")),
    )
    op.create_table(
        "clock_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("addressee", sa.String(length=100), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_notice")),
        sa.UniqueConstraint(
            "day", "addressee", "level", "channel", name=op.f("uq_clock_notice_day_addressee_level_channel")
        ),
    )


def downgrade() -> None:
    for table in ("clock_notice", "deadline_change"):
        op.drop_table(table)
    op.drop_index(op.f("ix_package_row_outbox_id"), table_name="package_row")
    op.drop_table("package_row")
    op.drop_index(op.f("ix_difference_reconciliation"), table_name="difference")
    op.drop_index("ix_difference_open", table_name="difference")
    op.drop_table("difference")
    op.drop_index("ix_reconciliation_of", table_name="reconciliation")
    op.drop_table("reconciliation")
    op.drop_table("endpoint_state")
    op.drop_index(op.f("ix_record_act_feed"), table_name="record_act")
    op.drop_index("ix_record_act_record", table_name="record_act")
    op.drop_table("record_act")

    # The older program knows content only; what it cannot read goes, with what hangs on it.
    op.execute("DELETE FROM receipt WHERE outbox_id IN (SELECT id FROM outbox WHERE act <> 0)")
    op.execute("DELETE FROM delivery_finding WHERE outbox_id IN (SELECT id FROM outbox WHERE act <> 0)")
    op.execute("DELETE FROM outbox WHERE act <> 0")
    op.drop_index("ix_outbox_upper_id", table_name="outbox")
    op.drop_index("ix_outbox_later", table_name="outbox")
    with op.batch_alter_table("outbox") as changed:
        changed.drop_constraint(changed.f("uq_outbox_endpoint_feed_record_key_version_act"), type_="unique")
        changed.create_unique_constraint(changed.f("uq_outbox_endpoint_feed_record_key_version"), _OLD_KEY)
        changed.alter_column("operation", type_=sa.String(length=10), existing_nullable=False)
        for column in ("line", "reconciled_at", "withdrawn_at", "policy", "reason", "family", "act"):
            changed.drop_column(column)
    with op.batch_alter_table("package") as changed:
        changed.drop_constraint(changed.f("uq_package_endpoint_reference"), type_="unique")
        for column in ("offered_at", "offers", "round", "reference", "shape", "family"):
            changed.drop_column(column)
