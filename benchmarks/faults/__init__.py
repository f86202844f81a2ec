"""Faults tried on what onewarp keeps, and what becomes of them; `python -m onewarp.benchmarks.faults`."""
