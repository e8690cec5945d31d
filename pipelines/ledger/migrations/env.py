"""Alembic's entry: runs migrations on the connection that ``pipelines.ledger.migrating`` opened."""

from __future__ import annotations

from alembic import context

from pipelines.ledger import (  # noqa: F401 - their tables belong to the same metadata
    delivery_models,
    operation_models,
    quality_models,
)
from pipelines.ledger.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
context.run_migrations()
