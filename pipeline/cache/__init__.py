"""How a cache is kept: its format, read, checked and exported."""
