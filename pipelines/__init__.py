"""guiji (归集): department extracts in, acknowledged public credit records out, within seven working days."""
