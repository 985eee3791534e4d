"""Named recipes, one per algorithm: which prior, which misfit, which search. None has a loop of its own.

A recipe takes a :class:`Problem`, yields :class:`Snapshot` on the way, and returns a :class:`Solution`.
"""

from .base import Problem, Recipe, Snapshot, Solution

__all__ = ["Problem", "Recipe", "Snapshot", "Solution"]
