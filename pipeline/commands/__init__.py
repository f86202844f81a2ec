"""The commands of presizing and of caches, and what only they use."""
