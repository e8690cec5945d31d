"""Golden cases: what goes in, what must come out, and which rule each of them breaks."""
