"""Blind deblurring for napari: the picture and its blur kernel are found together, each held to a prior.

>>> import napari_genprior as gp
>>> sim = gp.simulate(image, kernel=gp.blur.motion(length=15, angle_deg=30), noise=0.01, seed=0)
>>> result = gp.deblur(sim.blurred)

Names are resolved on first use: importing the package loads neither torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from . import blur, metrics, samples
    from .bilinear_problems import BilinearSolution, iter_solve_bilinear, solve_bilinear
    from .deblurring import deblur, iter_deblur, known_kernel
    from .errors import GenPriorError
    from .result import DeblurResult, Progress
    from .simulation import Simulation, simulate
    from .stacks.batch import batch, iter_batch
    from .stacks.large import LargeResult, deblur_large, iter_deblur_large
    from .stacks.result import StackProgress, StackResult
    from .stacks.stack import deblur_stack, iter_deblur_stack
    from .stacks.varying import VaryingResult, deblur_varying, iter_deblur_varying
    from .zoo.store import list_priors, load_prior

_HOME = {
    "BilinearSolution": "bilinear_problems",
    "iter_solve_bilinear": "bilinear_problems",
    "solve_bilinear": "bilinear_problems",
    "batch": "stacks.batch",
    "deblur": "deblurring",
    "deblur_large": "stacks.large",
    "deblur_stack": "stacks.stack",
    "deblur_varying": "stacks.varying",
    "iter_batch": "stacks.batch",
    "iter_deblur": "deblurring",
    "iter_deblur_large": "stacks.large",
    "iter_deblur_stack": "stacks.stack",
    "iter_deblur_varying": "stacks.varying",
    "VaryingResult": "stacks.varying",
    "LargeResult": "stacks.large",
    "known_kernel": "deblurring",
    "simulate": "simulation",
    "Simulation": "simulation",
    "GenPriorError": "errors",
    "DeblurResult": "result",
    "Progress": "result",
    "StackProgress": "stacks.result",
    "StackResult": "stacks.result",
    "list_priors": "zoo.store",
    "load_prior": "zoo.store",
}
_MODULES = ("blur", "metrics", "samples")

__all__ = [
    "BilinearSolution",
    "DeblurResult",
    "GenPriorError",
    "LargeResult",
    "Progress",
    "Simulation",
    "StackProgress",
    "StackResult",
    "VaryingResult",
    "__version__",
    "batch",
    "blur",
    "deblur",
    "deblur_large",
    "deblur_stack",
    "deblur_varying",
    "iter_batch",
    "iter_deblur",
    "iter_deblur_large",
    "iter_deblur_stack",
    "iter_deblur_varying",
    "iter_solve_bilinear",
    "known_kernel",
    "list_priors",
    "load_prior",
    "metrics",
    "samples",
    "simulate",
    "solve_bilinear",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
