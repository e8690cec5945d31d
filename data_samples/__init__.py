"""Samples of a synthetic city: what its departments send and what must become of it."""
