"""Trainings in every trainer that onewarp feeds, resumed at every step and held against a run that was never stopped.

`python -m onewarp.benchmarks.resuming` makes the table. One file for each trainer has its loop, as a user writes it.
"""
