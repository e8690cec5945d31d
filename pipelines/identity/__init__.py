"""Codes of organisations, persons and regions, and the verdict on each."""
