"""Rows in whatever form a department writes them become standard form; every repair is recorded."""
