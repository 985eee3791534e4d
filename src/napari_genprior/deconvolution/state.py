"""Hold what an iterative deconvolution yields after each step."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DeconvolutionState:
    """An iterate.

    Attributes
    ----------
    step : int
        Steps done.
    image : Tensor [R, C, (Z,) Y, X]
        The estimate, on the canvas.
    model : Tensor [R, C, (Z,) Y, X]
        A canvas blurred by the kernel, to compare with the data; of Richardson-Lucy, that before the step.
    """

    step: int
    image: Tensor
    model: Tensor


Deconvolution = Generator[DeconvolutionState, None, DeconvolutionState]
