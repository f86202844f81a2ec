"""Floor 1: what a typed sample is, and what happens to it."""
