"""Adapters: the same batches in other trainers."""
