"""Strings the steps together: a batch, a night, a delivery, a report."""
