"""Measure quality and speed on public test sets, and reproduce the studies of Asim et al."""
