"""Blind deblurring for napari: the image and its blur kernel are found together, each held to a prior.

>>> import napari_genprior as gp
>>> sim = gp.simulate(image, kernel=gp.blur.motion(length=15, angle_deg=30), noise=0.01, seed=0)
>>> result = gp.deblur(sim.blurred)

Names are resolved on first use: importing the package loads neither torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.version import __version__

if TYPE_CHECKING:
    from . import blur, metrics, samples
    from .batch.run import batch, iter_batch
    from .core.errors import GenPriorError
    from .core.result import DeblurResult, Progress
    from .pipeline.bilinear import BilinearSolution, iter_solve_bilinear, solve_bilinear
    from .pipeline.large import LargeResult, deblur_large, iter_deblur_large
    from .pipeline.run import deblur, iter_deblur, known_kernel
    from .pipeline.spatially_varying import VaryingResult, deblur_varying, iter_deblur_varying
    from .pipeline.stack import deblur_stack, iter_deblur_stack
    from .pipeline.stack_result import StackProgress, StackResult
    from .simulation import Simulation, simulate
    from .zoo.store import list_priors, load_prior

_HOME = {
    "BilinearSolution": "pipeline.bilinear",
    "iter_solve_bilinear": "pipeline.bilinear",
    "solve_bilinear": "pipeline.bilinear",
    "batch": "batch.run",
    "deblur": "pipeline.run",
    "deblur_large": "pipeline.large",
    "deblur_stack": "pipeline.stack",
    "deblur_varying": "pipeline.spatially_varying",
    "iter_batch": "batch.run",
    "iter_deblur": "pipeline.run",
    "iter_deblur_large": "pipeline.large",
    "iter_deblur_stack": "pipeline.stack",
    "iter_deblur_varying": "pipeline.spatially_varying",
    "VaryingResult": "pipeline.spatially_varying",
    "LargeResult": "pipeline.large",
    "known_kernel": "pipeline.run",
    "simulate": "simulation",
    "Simulation": "simulation",
    "GenPriorError": "core.errors",
    "DeblurResult": "core.result",
    "Progress": "core.result",
    "StackProgress": "pipeline.stack_result",
    "StackResult": "pipeline.stack_result",
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
