"""The stages of a run, each on its own: estimate a kernel, deconvolve, assess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..core.arrays import kernel_to_tensor, to_tensor
from ..core.axes import KernelPer
from ..core.checks import check_fit, check_image, check_kernel, check_volume, check_volume_kernel
from ..core.errors import InputError
from ..core.iteration import run_to_end
from ..core.lazy_io import open_lazy
from ..core.result import Candidate, Status, StatusCode, Verdict
from ..quality.verdict import judge
from ..settings import Settings
from .front_door import known_kernel
from .observe import observe_piece
from .plan import plan_request
from .request import KernelSize, Mode, find_method, is_path, parse_request, read_array
from .run import estimate_first_kernel


@dataclass(frozen=True)
class KernelEstimate:
    """An estimated kernel.

    Parameters
    ----------
    kernel : float32 array [(kz,) kh, kw]
        >= 0, sum 1; its centre is pixel ``(kh // 2, kw // 2)``.
    candidates : tuple of (float32 array, float)
        Kernels that were compared, the selected one too, each with its cost (lower is better).
    verdict : Verdict
        On the image that the kernel leads to.
    """

    kernel: np.ndarray
    candidates: tuple[Candidate, ...]
    verdict: Verdict

    def __repr__(self) -> str:
        """Return shape, number of candidates and verdict; arrays are not printed."""
        size, several = "x".join(map(str, self.kernel.shape)), f"{len(self.candidates)} candidates"
        return f"<KernelEstimate: kernel {size}, {several}; {self.verdict.sentence}>"


def estimate_kernel(
    image: Any,
    method: str = "auto",
    *,
    axes: str | Sequence[str] | None = None,
    kernel_size: KernelSize = "auto",
    mode: Mode = "auto",
    voxel_size_um: Sequence[float] | None = None,
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit_s: float | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
) -> KernelEstimate:
    """Estimate the kernel of a blurred image or volume, or the one that the planes of a stack share.

    Parameters and errors are those of :func:`.deblur`.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cat()[:96, :96], kernel=gp.blur.motion(length=9), noise=0.01, seed=0)
    >>> gp.estimate_kernel(sim.blurred, kernel_size=9).kernel.shape
    (9, 9)
    """
    chosen = find_method(method)
    if chosen.needs_kernel or not chosen.finds_kernel:
        raise InputError(f"Method {method!r} estimates no kernel; choose one that does, such as 'auto'.")
    request = parse_request(
        method,
        axes=axes,
        kernel_size=kernel_size,
        mode=mode,
        voxel_size_um=voxel_size_um,
        image_prior=image_prior,
        kernel_prior=kernel_prior,
        seed=seed,
        device=device,
        time_limit_s=time_limit_s,
        settings=settings,
    )
    with open_lazy(image) as source:
        estimate = run_to_end(estimate_first_kernel(plan_request(source, request)))
    return KernelEstimate(estimate.kernel, estimate.candidates, estimate.verdict)


def deconvolve(
    image: Any,
    kernel: Any,
    *,
    axes: str | Sequence[str] | None = None,
    kernel_per: KernelPer = "stack",
    mode: Mode = "auto",
    tiles: tuple[int, int] | None = None,
    voxel_size_um: Sequence[float] | None = None,
    device: str = "auto",
    settings: Settings | Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Deconvolve an image, stack or volume with a known kernel: float32, shape and intensity scale of the input.

    Parameters and errors are those of :func:`.deblur`.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cat()[:96, :96], kernel=gp.blur.motion(length=9), noise=0.01, seed=0)
    >>> gp.deconvolve(sim.blurred, sim.kernel).shape
    (96, 96, 3)
    """
    result = known_kernel(
        image,
        kernel,
        axes=axes,
        kernel_per=kernel_per,
        mode=mode,
        tiles=tiles,
        voxel_size_um=voxel_size_um,
        device=device,
        settings=settings,
    )
    return result.image


def assess(image: Any, restored: Any, kernel: Any, *, kernel_given: bool = False) -> Verdict:
    """Assess whether a restored image can be trusted.

    Parameters
    ----------
    image, restored : array [Y, X], [Y, X, 3 or 4] or [Z, Y, X], or path
        The blurred input and the estimate, in the same units.
    kernel : array [kh, kw] or [kz, kh, kw], or path
        Three axes: image and estimate are volumes.
    kernel_given : bool
        The kernel was measured, not estimated: its shape is not questioned.

    Returns
    -------
    Verdict
        Without a run there are no candidates to compare with, so fewer features than a run's verdict has.

    Raises
    ------
    InputError
        Arrays cannot be used, or do not fit each other.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> sim = gp.simulate(gp.samples.cells()[:64, :64], gp.blur.motion(length=5), noise=0.01, seed=0)
    >>> image = gp.deconvolve(sim.blurred, sim.kernel)
    >>> verdict = gp.assess(sim.blurred, image, sim.kernel, kernel_given=True)
    >>> 0 < verdict.probability < 1
    True
    """
    image, restored, kernel = (read_array(each) if is_path(each) else each for each in (image, restored, kernel))
    volume = np.ndim(kernel) == 3
    blurred = (check_volume if volume else check_image)(image, allow_missing=True)
    if np.shape(restored) != blurred.shape:
        raise InputError(f"Input and estimate must have one shape; got {blurred.shape} and {np.shape(restored)}.")
    checked = check_volume_kernel(kernel) if volume else check_kernel(kernel)
    if not volume:
        check_fit(checked.shape, blurred.shape)
    cpu = torch.device("cpu")
    piece = observe_piece(blurred, Settings(), cpu)
    after = to_tensor(np.asarray(restored), piece.intensity, cpu)
    return judge(piece.observed, after, kernel_to_tensor(checked, cpu), Status(StatusCode.DONE, ""), kernel_given)
