"""Rules, the one-scan verdict, Great Expectations, findings and the conservation check."""
