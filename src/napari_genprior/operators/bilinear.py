"""Define bilinear forward operators ``y = A(k, x)``: linear in the kernel ``k`` and linear in the image ``x``.

A solver uses nothing but :class:`Bilinear`. To use another forward model, write a subclass with ``__call__``:

>>> class Gain(Bilinear):
...     '''y = k x with one gain per image.'''
...     def __call__(self, kernel, image):
...         return kernel * image
>>> operator = Gain(kernel_shape=(1, 1, 1), image_shape=(1, 8, 8))

Both adjoints come for free, by reverse-mode differentiation of a linear map; override
:meth:`Bilinear.adjoint_image` and :meth:`Bilinear.adjoint_kernel` where a closed form is faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .convolution import (
    BOUNDARIES,
    Boundary,
    convolve,
    convolve_adjoint_image,
    convolve_adjoint_kernel,
    crop_margins,
)


@dataclass(frozen=True)
class Linear:
    """A linear operator ``A`` with its adjoint ``A'``: ``<A u, v> = <u, A' v>`` for every ``u`` and ``v``."""

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]

    def __call__(self, argument: Tensor) -> Tensor:
        return self.forward(argument)


class Bilinear(ABC):
    """A forward operator ``y = A(k, x)`` that is linear in either argument.

    Parameters
    ----------
    kernel_shape, image_shape : tuple of int
        Shapes of ``k`` and ``x`` without the leading axis R (restarts). The adjoints need them,
        for ``y`` alone does not always determine them.
    """

    def __init__(self, kernel_shape: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
        self.kernel_shape = tuple(kernel_shape)
        self.image_shape = tuple(image_shape)

    @abstractmethod
    def __call__(self, kernel: Tensor, image: Tensor) -> Tensor:
        """Compute ``A(k, x)`` of ``[R, *kernel_shape]`` and ``[R, *image_shape]``; either R may be 1."""

    def adjoint_image(self, kernel: Tensor, data: Tensor) -> Tensor:
        """Apply the adjoint in the image: ``A(k, .)' y``, ``[R, *image_shape]`` with the R of ``data``."""
        return _transposed(partial(self, kernel), data.new_zeros(len(data), *self.image_shape), data)

    def adjoint_kernel(self, image: Tensor, data: Tensor) -> Tensor:
        """Apply the adjoint in the kernel: ``A(., x)' y``, ``[R, *kernel_shape]`` with the R of ``data``."""
        return _transposed(lambda kernel: self(kernel, image), data.new_zeros(len(data), *self.kernel_shape), data)

    def fix_kernel(self, kernel: Tensor) -> Linear:
        """Fix the kernel: the linear operator ``x -> A(k, x)``."""
        return Linear(partial(self, kernel), partial(self.adjoint_image, kernel))

    def fix_image(self, image: Tensor) -> Linear:
        """Fix the image: the linear operator ``k -> A(k, x)``."""
        return Linear(lambda kernel: self(kernel, image), partial(self.adjoint_kernel, image))


class Convolution(Bilinear):
    """Convolution ``y = k * x`` of images or volumes (:func:`~.convolution.convolve`).

    Parameters
    ----------
    kernel_shape : (kh, kw) or (kz, kh, kw)
        Its centre is pixel ``(..., kh // 2, kw // 2)``.
    image_shape : (C, Y, X) or (C, Z, Y, X)
        The kernel is shared by the C channels. With ``boundary="valid"`` this is the larger image
        under the data: ``[..., Y - kh + 1, X - kw + 1]`` is the size of ``y``.
    boundary : {"circular", "valid", "reflect"}
    """

    def __init__(
        self, kernel_shape: tuple[int, ...], image_shape: tuple[int, ...], boundary: Boundary = "circular"
    ) -> None:
        if boundary not in BOUNDARIES:
            raise ValueError(f"boundary {boundary!r} is unknown; allowed are {', '.join(BOUNDARIES)}")
        super().__init__((1, *kernel_shape), image_shape)
        self.boundary: Boundary = boundary

    def __call__(self, kernel: Tensor, image: Tensor) -> Tensor:
        return convolve(image, kernel, self.boundary)

    def adjoint_image(self, kernel: Tensor, data: Tensor) -> Tensor:
        return convolve_adjoint_image(data, kernel, self.image_shape[1:], self.boundary)

    def adjoint_kernel(self, image: Tensor, data: Tensor) -> Tensor:
        return convolve_adjoint_kernel(data, image, self.kernel_shape[1:], self.boundary)

    def under_data(self, image: Tensor) -> Tensor:
        """Crop ``x`` to what lies under ``y``, pixel on pixel for a centred kernel (all of it unless "valid")."""
        return crop_margins(image, self.kernel_shape[1:]) if self.boundary == "valid" else image


class Pointwise(Bilinear):
    """Pixelwise product ``y = k x``; axes of length 1 are broadcast (shading, gain, masks)."""

    def __call__(self, kernel: Tensor, image: Tensor) -> Tensor:
        return kernel * image


def _transposed(linear: Callable[[Tensor], Tensor], point: Tensor, data: Tensor) -> Tensor:
    """Apply the adjoint ``A' y`` as the vector-Jacobian product of a linear map, the same at every ``point``."""
    pull_back = torch.func.vjp(linear, point)[1]
    return pull_back(data)[0]
