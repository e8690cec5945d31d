"""Where extracts come from, what format they have, and how their bytes become rows of text."""
