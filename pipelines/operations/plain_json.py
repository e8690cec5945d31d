"""Values of ours as JSON knows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any


def writable(value: Any) -> Any:
    """A value as JSON knows it; instants of the ledger are UTC."""
    if isinstance(value, dict):
        return {str(name): writable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [writable(one) for one in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
