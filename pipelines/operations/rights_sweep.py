"""The daily look for records that may not be shown any more, because their publication has ended."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from pipelines.operations.clock import today_in_shanghai
from pipelines.operations.context import Context, open_context
from pipelines.operations.withdrawing import MOST_EXPIRED, expired_withdrawals, require_moderate, withdraw_all

BY = "rights_sweep"
NOTE = "公示期限届满"
BY_HAND = "guiji withdrawals expired --by NAME --note REASON --yes"


def sweep_expired(context: Context, today: date) -> dict[str, Any]:
    """Find the records whose publication ended before a day, and withdraw them where ``withdraw_expired`` says so.

    Returns how many there are of each feed, how many were withdrawn, and the command for those that were not. Raises
    :class:`RunConflictError`, and withdraws nothing, when there are more than anybody would expect.
    """
    intended = expired_withdrawals(context, today, BY, NOTE)
    found = dict(sorted(Counter(one.feed for one in intended).items()))
    if not context.settings.withdraw_expired:
        return {"expired": found, "withdrawn": 0, **({"by_hand": BY_HAND} if found else {})}
    require_moderate(context, intended, MOST_EXPIRED)
    return {"expired": found, "withdrawn": len(withdraw_all(context, intended))}


def sweep_rights() -> dict[str, Any]:
    """For the DAG: the same today, with the installation's own settings."""
    return sweep_expired(open_context(), today_in_shanghai())
