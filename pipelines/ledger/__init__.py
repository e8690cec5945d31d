"""The relational ledger: batches, runs, extracts, outbox, receipts."""
