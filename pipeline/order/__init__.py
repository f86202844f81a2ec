"""Which row comes when, and which rank takes it."""
