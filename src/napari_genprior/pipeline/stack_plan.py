"""A request for a stack, checked and put together before anything is computed: arguments -> :class:`StackPlan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from ..core.arrays import check_kernel
from ..core.axes import Layout, make_layout
from ..core.errors import InputError
from ..operators.detail import REGION
from . import plan as planning


@dataclass(frozen=True)
class StackPlan:
    """A checked request for a stack: everything a run needs, nothing computed yet.

    Parameters
    ----------
    data : array-like
        Maybe lazy (dask, zarr).
    given : float32 array or None
        The kernels where they are known, ``[groups..., kh, kw]`` or ``[groups..., kz, kh, kw]``.
    piece : Plan
        The request for one plane, made for a stand-in: the pieces themselves were not looked at. Of volumes, only its
        device and seed count.
    arguments : dict
        Of ``planning.plan``, for searches.
    """

    data: Any
    layout: Layout
    given: np.ndarray | None
    piece: planning.Plan
    arguments: dict[str, Any]

    @property
    def sentence(self) -> str:
        """What will happen, for a person."""
        if self.layout.depth == "volume":
            how = f"{'unknown' if self.given is None else 'given'} kernel, on {self.piece.device}"
        else:
            how = self.piece.sentence.partition(", ")[2]
        return f"{self.layout.sentence}; {how}"


def plan_stack(
    data: Any,
    axes: str | Sequence[str] | None = None,
    *,
    kernels: str = "one",
    depth: str = "planes",
    kernel: Any = None,
    **arguments: Any,
) -> StackPlan:
    """Check all arguments of :func:`.stack.deblur_stack` and put them together; raises what that raises."""
    data = data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)
    if np.dtype(data.dtype).kind not in "uif":
        raise InputError(f"The stack has data type {data.dtype}; integers or floats are needed.")
    layout = make_layout(data.shape, axes, kernels, depth)
    given = None if kernel is None else _check_kernels(kernel, layout)
    one = None if given is None else given[(0,) * len(layout.groups)]
    shape = layout.piece_shape
    if layout.depth == "volume":
        _check_volume(_stand_in(shape), one, arguments)
        arguments_2d = {name: value for name, value in arguments.items() if name in ("device", "seed")}
        return StackPlan(data, layout, given, planning.plan(_stand_in(shape[1:]), **arguments_2d), arguments)
    if given is None:
        shape = (min(shape[0], REGION), min(shape[1], REGION), *shape[2:])
    return StackPlan(data, layout, given, planning.plan(_stand_in(shape), kernel=one, **arguments), arguments)


def _stand_in(shape: Sequence[int]) -> np.ndarray:
    """An image like the pieces, before any of them is read."""
    made = np.zeros(tuple(shape), np.uint8)
    made.flat[0] = 1
    return made


def _check_volume(volume: np.ndarray, kernel: np.ndarray | None, arguments: dict[str, Any]) -> None:
    from .volumes import iter_deblur_volume

    names = list(signature(iter_deblur_volume).parameters)[2:]
    if unknown := [name for name in arguments if name not in names]:
        raise InputError(f"Volumes take no {', '.join(unknown)}; they take: {', '.join(names)}.")
    iter_deblur_volume(volume, kernel, **arguments).close()


def _check_kernels(kernel: Any, layout: Layout) -> np.ndarray:
    """Kernels ``[groups..., *kernel]``, each of sum 1; one kernel serves all groups."""
    sides = len(layout.space)
    array = np.asarray(kernel)
    if array.ndim == sides:
        array = np.broadcast_to(array, (*layout.groups, *array.shape))
    if array.shape[: array.ndim - sides] != layout.groups or array.ndim < sides:
        wanted = " or ".join(f"{[*lead, *'zyx'[-sides:]]}" for lead in dict.fromkeys([(), layout.groups]))
        raise InputError(f"The kernels have shape {array.shape}; for these axes they need {wanted}.")
    if sides == 3:
        return np.ascontiguousarray(array, dtype=np.float32)  # checked where volumes are
    return np.stack([check_kernel(each) for each in array.reshape(-1, *array.shape[-2:])]).reshape(array.shape)
