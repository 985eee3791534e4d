"""One kernel for many planes: which plane tells most of it, and the known-kernel step for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from .._generators import drain
from .._tensors import Intensity, check_image, to_image, to_tensor
from ..algorithms.classical import LEAST_NOISE
from ..algorithms.final import final_picture, with_flux_of
from ..classical.known_kernel import noise_std, residual_std
from ..classical.rivals import KERNEL_NOISE, REGION, busiest_place
from ..deblurring import run
from ..errors import InputError
from ..planning import intensity_of, plan
from ..result import Verdict
from ..settings import KnownKernelSettings

UNEXPLAINED, RESIDUAL_FLOOR = 3.0, 0.01  # residual over noise, and fraction of the range, that are still explained
ALIKE = 4  # power of the correlation: from 0.8 down, a neighbour hardly counts


def detail(piece: np.ndarray) -> float:
    """How much a piece tells of its kernel: mean square slope, the noise taken off; negative for a blank one.

    Raises
    ------
    InputError
        NaN or infinite values.
    """
    if piece.dtype.kind == "f" and not np.isfinite(piece).all():
        raise InputError(
            f"{int((~np.isfinite(piece)).sum())} values are NaN or infinite; replace them (numpy.nan_to_num) first."
        )
    if piece.min() == piece.max():
        return -1.0
    planes = torch.from_numpy(np.ascontiguousarray(piece, dtype=np.float32))
    planes = (
        planes[..., :3].movedim(-1, 0)[None] if piece.shape[-1] in (3, 4) else planes.reshape(1, -1, *piece.shape[-2:])
    )
    slopes = sum(planes.diff(dim=dim).square().mean((-2, -1)) for dim in (-2, -1))
    return max(0.0, float((slopes - 4 * noise_std(planes).square()).mean()))


def busiest_part(plane: np.ndarray) -> np.ndarray:
    """The part of a large plane ``[Y, X]`` or ``[Y, X, 3 or 4]`` in which its kernel is searched."""
    if max(plane.shape[:2]) <= REGION:
        return plane
    return plane[busiest_place(to_tensor(plane, Intensity.of(plane), torch.device("cpu")), REGION)]


def judged(
    plane: np.ndarray, kernel: np.ndarray, settings: KnownKernelSettings, device: torch.device
) -> tuple[np.ndarray, Verdict]:
    """A plane restored with a given kernel as single pictures are, with all that a verdict looks at."""
    chosen = settings.model_dump(include=set(KnownKernelSettings.model_fields))
    result = drain(run(plan(plane, "known-kernel", kernel=kernel, settings=chosen, device=str(device))))
    return result.image, result.verdict


def restored(
    plane: np.ndarray, kernel: np.ndarray, given: bool, settings: KnownKernelSettings, device: torch.device
) -> tuple[np.ndarray, bool]:
    """The known-kernel step for a plane ``[Y, X]`` or ``[Y, X, 3 or 4]``: float32, its own intensities.

    And whether the kernel explains the plane, by the residual alone: a verdict takes half as long as the solve.
    ``given`` says that the user vouches for the kernel, else it is estimated and errs.
    """
    plane = check_image(plane, "plane")
    intensity = intensity_of(plane, settings)
    blurred = to_tensor(plane, intensity, device)
    k = torch.from_numpy(kernel)[None, None].to(device)
    noise = float(noise_std(blurred).mean())
    image = final_picture(blurred, k, max(noise, LEAST_NOISE if given else KERNEL_NOISE), settings)
    explained = residual_std(blurred, image, k) <= max(UNEXPLAINED * noise, RESIDUAL_FLOOR)
    return to_image(with_flux_of(blurred, image, intensity), intensity, plane), explained


def in_middle(kernel: np.ndarray) -> np.ndarray:
    """Shift a kernel by fractions of a pixel until its centre of mass is its centre pixel: no plane jumps."""
    offset = [n // 2 - float(c) for n, c in zip(kernel.shape, ndimage.center_of_mass(kernel), strict=True)]
    moved = np.clip(ndimage.shift(kernel.astype(np.float64), offset, order=1), 0, None)
    return (moved / moved.sum()).astype(np.float32)


def smooth_over_time(kernels: list[np.ndarray]) -> list[np.ndarray]:
    """Kernels of successive frames, each averaged with its neighbours as far as they are alike.

    A search errs anew in each frame, while most blurs change slowly: the mean errs less. The weight of a neighbour is
    half of :func:`likeness` with the frame's own kernel: a blur that jumps stays as it was found.
    """
    sides = [max(k.shape[axis] for k in kernels) for axis in (0, 1)]
    same = [within(kernel, sides) for kernel in kernels]
    smooth = []
    for t, own in enumerate(same):
        total, weight = own.astype(np.float64), 1.0
        for other in same[max(0, t - 1) : t] + same[t + 1 : t + 2]:
            alike = likeness(own, other) / 2
            total, weight = total + alike * other, weight + alike
        smooth.append((total / weight).astype(np.float32))
    return smooth


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two kernels of one size are: ``max(0, r)^ALIKE``, r their correlation; 1 for the same."""
    if np.array_equal(one, other):  # also points and even kernels, which have no correlation
        return 1.0
    spread = float(one.std() * other.std())
    return max(0.0, float(((one - one.mean()) * (other - other.mean())).mean()) / spread) ** ALIKE if spread else 0.0


def within(kernel: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """A kernel in the middle of a larger support."""
    where = tuple(slice(n // 2 - k // 2, n // 2 - k // 2 + k) for n, k in zip(sides, kernel.shape, strict=True))
    made = np.zeros(tuple(sides), np.float32)
    made[where] = kernel
    return made
