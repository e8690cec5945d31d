"""The record store: append-only versions, current state, as-of reads, sweep, consolidation."""
