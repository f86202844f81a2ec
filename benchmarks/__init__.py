"""Floor 4: measurements beside peers."""
