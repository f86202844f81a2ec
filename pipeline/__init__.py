"""Floor 2: how data flows, from files to batches."""
