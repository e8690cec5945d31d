"""Benchmarks that anyone can run: ratios within one run, because machines are noisy."""
