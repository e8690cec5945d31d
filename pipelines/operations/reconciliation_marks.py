"""Words by which the rows of reconciliations tell each other apart; apart from the work, which loads every adapter."""

SCHEDULED = "reconcile"
"""Who asks for the comparison of every morning."""
CANNOT_BE_ASKED = "the endpoint cannot be asked what it holds"
