"""Stacks of pictures: what their axes mean, one kernel for many planes, volumes, large pictures, many files."""
