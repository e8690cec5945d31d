"""Which rows are about the same decision, and which of them survives."""
