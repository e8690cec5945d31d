"""Alembic's entry: runs migrations on the connection that ``pipelines.ledger.database.migrate`` opened."""

from __future__ import annotations

from alembic import context

from pipelines.ledger import quality_models  # noqa: F401 - its tables belong to the same metadata
from pipelines.ledger.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
context.run_migrations()
