"""Named recipes, one per algorithm: the priors, the objective and the optimizer that it combines.

A recipe takes a :class:`Problem`, yields :class:`Snapshot` during the run, and returns a :class:`Solution`.
"""

from .base import Problem, Recipe, Snapshot, Solution

__all__ = ["Problem", "Recipe", "Snapshot", "Solution"]
