"""Quality: measures, gates, tasks, waivers, corrected workbooks, facts; what an endpoint does not accept"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gate_threshold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("gate", sa.String(length=60), nullable=False),
        sa.Column("item", sa.String(length=200), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_threshold")),
    )
    with op.batch_alter_table("gate_threshold") as changed:
        changed.create_index(changed.f("ix_gate_threshold_feed"), ["feed"], unique=False)

    op.create_table(
        "resubmission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("corrections", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resubmission")),
        sa.UniqueConstraint(
            "feed", "business_date", "position", name=op.f("uq_resubmission_feed_business_date_position")
        ),
        sa.UniqueConstraint("feed", "business_date", "sha256", name=op.f("uq_resubmission_feed_business_date_sha256")),
    )
    op.create_table(
        "waiver",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("granted_for", sa.String(length=400), nullable=False),
        sa.Column("approver", sa.String(length=100), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_by", sa.String(length=100), nullable=True),
        sa.Column("revoked_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiver")),
    )
    with op.batch_alter_table("waiver") as changed:
        changed.create_index("ix_waiver_feed_until", ["feed", "until"], unique=False)

    op.create_table(
        "fact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("department", sa.String(length=60), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("profile", sa.String(length=40), nullable=False),
        sa.Column("figure", sa.String(length=40), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=True),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_fact_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact")),
        sa.UniqueConstraint(
            "feed", "business_date", "profile", "figure", name=op.f("uq_fact_feed_business_date_profile_figure")
        ),
    )
    with op.batch_alter_table("fact") as changed:
        changed.create_index(changed.f("ix_fact_business_date"), ["business_date"], unique=False)
        changed.create_index(changed.f("ix_fact_department"), ["department"], unique=False)
        changed.create_index(changed.f("ix_fact_run"), ["run"], unique=False)

    op.create_table(
        "gate_decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_gate_decision_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_decision")),
        sa.UniqueConstraint("run", name=op.f("uq_gate_decision_run")),
    )

    op.create_table(
        "gate_result",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("gate", sa.String(length=60), nullable=False),
        sa.Column("item", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("usual", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_gate_result_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_result")),
        sa.UniqueConstraint("run", "gate", "item", name=op.f("uq_gate_result_run_gate_item")),
    )
    with op.batch_alter_table("gate_result") as changed:
        changed.create_index(changed.f("ix_gate_result_run"), ["run"], unique=False)

    op.create_table(
        "measure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=200), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_measure_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measure")),
        sa.UniqueConstraint("run", "name", "item", name=op.f("uq_measure_run_name_item")),
    )
    with op.batch_alter_table("measure") as changed:
        changed.create_index(changed.f("ix_measure_run"), ["run"], unique=False)

    op.create_table(
        "task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("department", sa.String(length=60), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("rule", sa.String(length=130), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=60), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("waived", sa.Integer(), nullable=False),
        sa.Column("rows_ever", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.Date(), nullable=False),
        sa.Column("last_seen", sa.Date(), nullable=False),
        sa.Column("open_since", sa.Date(), nullable=True),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_task_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("feed", "rule", "field", name=op.f("uq_task_feed_rule_field")),
        sa.UniqueConstraint("reference", name=op.f("uq_task_reference")),
    )
    with op.batch_alter_table("task") as changed:
        changed.create_index(changed.f("ix_task_department"), ["department"], unique=False)
        changed.create_index(changed.f("ix_task_state"), ["state"], unique=False)

    op.create_table(
        "closing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=140), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("how", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_closing_run")),
        sa.ForeignKeyConstraint(["task"], ["task.id"], name=op.f("fk_closing_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closing")),
        sa.UniqueConstraint("run", "task", "how", name=op.f("uq_closing_run_task_how")),
    )
    with op.batch_alter_table("closing") as changed:
        changed.create_index(changed.f("ix_closing_run"), ["run"], unique=False)
        changed.create_index(changed.f("ix_closing_task"), ["task"], unique=False)

    op.create_table(
        "task_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("event", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=140), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["task"], ["task.id"], name=op.f("fk_task_event_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_event")),
    )
    with op.batch_alter_table("task_event") as changed:
        changed.create_index(changed.f("ix_task_event_task"), ["task"], unique=False)

    with op.batch_alter_table("outbox") as changed:
        changed.add_column(sa.Column("withheld_rule", sa.String(length=60), nullable=True))
        changed.add_column(sa.Column("acceptance", sa.String(length=64), nullable=True))
        changed.create_index("ix_outbox_withheld", ["feed", "withheld_rule"], unique=False)

    with op.batch_alter_table("rule_count") as changed:
        changed.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        changed.add_column(sa.Column("waived", sa.Integer(), nullable=False, server_default="0"))

    with op.batch_alter_table("run") as changed:
        changed.add_column(sa.Column("rules_hash", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("run") as changed:
        changed.drop_column("rules_hash")

    with op.batch_alter_table("rule_count") as changed:
        changed.drop_column("waived")
        changed.drop_column("version")

    with op.batch_alter_table("outbox") as changed:
        changed.drop_index("ix_outbox_withheld")
        changed.drop_column("acceptance")
        changed.drop_column("withheld_rule")

    with op.batch_alter_table("task_event") as changed:
        changed.drop_index(changed.f("ix_task_event_task"))

    op.drop_table("task_event")
    with op.batch_alter_table("closing") as changed:
        changed.drop_index(changed.f("ix_closing_task"))
        changed.drop_index(changed.f("ix_closing_run"))

    op.drop_table("closing")
    with op.batch_alter_table("task") as changed:
        changed.drop_index(changed.f("ix_task_state"))
        changed.drop_index(changed.f("ix_task_department"))

    op.drop_table("task")
    with op.batch_alter_table("measure") as changed:
        changed.drop_index(changed.f("ix_measure_run"))

    op.drop_table("measure")
    with op.batch_alter_table("gate_result") as changed:
        changed.drop_index(changed.f("ix_gate_result_run"))

    op.drop_table("gate_result")
    op.drop_table("gate_decision")
    with op.batch_alter_table("fact") as changed:
        changed.drop_index(changed.f("ix_fact_run"))
        changed.drop_index(changed.f("ix_fact_department"))
        changed.drop_index(changed.f("ix_fact_business_date"))

    op.drop_table("fact")
    with op.batch_alter_table("waiver") as changed:
        changed.drop_index("ix_waiver_feed_until")

    op.drop_table("waiver")
    op.drop_table("resubmission")
    with op.batch_alter_table("gate_threshold") as changed:
        changed.drop_index(changed.f("ix_gate_threshold_feed"))

    op.drop_table("gate_threshold")
