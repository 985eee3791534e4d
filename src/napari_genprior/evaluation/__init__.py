"""Measure quality and speed on published test sets, and reproduce the studies of the papers."""
