"""Outbox, packages, endpoints, receipts."""
