"""Front door for volumes: checked input -> kernel (given, or sought) -> volume, with verdict and provenance."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator as Yields
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ..core.arrays import Intensity, resolve_device
from ..core.errors import InputError
from ..core.iteration import run_to_end
from ..core.provenance import array_hash, provenance_of
from ..core.result import REJECTED, DeblurResult, History, Progress, Provenance, Status, StatusCode, Word
from ..estimation.psf_candidates import Known, parse_constraints
from ..methods import Problem, Snapshot, Solution
from ..methods.volumes import blind, known_kernel
from ..nets.linear_gaussian import LinearGenerator
from ..quality.volumes import judge_volume, likelihood_gain
from ..settings import VolumeSettings
from ..zoo.store import Generator, load_prior

logger = logging.getLogger(__name__)

METHODS = ("auto", "known-kernel", "blind")
LEAST_PLANES, LEAST_SIDE = 3, 8
UM = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6, "angstrom": 1e-4}


@dataclass(frozen=True)
class VolumePlan:
    """A checked request for one volume."""

    volume: np.ndarray
    intensity: Intensity
    kernel: np.ndarray | None
    weights: tuple[float, float, float]
    known: Known
    settings: VolumeSettings
    prior: Generator | None
    seed: int
    device: torch.device


def deblur_volume(volume: Any, kernel: Any = None, **arguments: Any) -> DeblurResult:
    """Make a volume sharp, in three dimensions; its blur kernel is found too, unless it is given.

    Parameters
    ----------
    volume : array [Z, Y, X]
        Any integer or float type, any range; 3 planes and 8 rows and columns or more.
    kernel : array [kz, kh, kw], optional
        Where it is known: from beads (:func:`.blur.from_beads`) or optics (:func:`.blur.microscope_psf_3d`); >= 0, it
        is normalised to sum 1. Its centre is voxel ``(kz // 2, kh // 2, kw // 2)``.
    method : {"auto", "known-kernel", "blind"}
        "auto": by whether there is a kernel.
    voxel_um : (float, float, float), optional
        Sides of a voxel along z, y and x in um: total variation is per length, not per voxel, and what is known of
        the microscope is put into voxels. Without such knowledge only their ratios count. By default voxels are cubes.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    seed : int
        Of the simulated microscopes that a blind search begins at.
    settings : VolumeSettings or mapping, optional
        ``microscope``, ``na``, ``wavelength_nm`` and ``immersion_index`` tell a blind search what is known.

    Returns
    -------
    DeblurResult
        ``image`` float32 [Z, Y, X] in the input's intensity scale, ``kernel`` [kz, kh, kw]. Where a blind search ends
        with the verdict "no improvement", ``image`` is the input, and ``found`` what was found.

    Raises
    ------
    InputError
        Volume, kernel or arguments cannot be used.
    DeviceError
        No such device.

    Examples
    --------
    >>> psf = blur.microscope_psf_3d(na=1.2, immersion_index=1.33, pixel_size_nm=100, step_z_nm=250)
    >>> result = deblur_volume(stack, psf, voxel_um=(0.25, 0.1, 0.1))
    >>> known = {"microscope": "confocal", "na": 1.4, "wavelength_nm": 520, "immersion_index": 1.515}
    >>> result = deblur_volume(stack, voxel_um=(0.25, 0.1, 0.1), settings=known)  # the rest is found
    """
    return run_to_end(iter_deblur_volume(volume, kernel, **arguments))


def iter_deblur_volume(
    volume: Any,
    kernel: Any = None,
    *,
    method: str = "auto",
    voxel_um: Sequence[float] | None = None,
    device: str = "auto",
    seed: int = 0,
    settings: VolumeSettings | Mapping[str, Any] | None = None,
) -> Yields[Progress, None, DeblurResult]:
    """As :func:`deblur_volume`, handing out snapshots on the way; the generator's return value is the result.

    Arguments are checked at the call. Closing the generator stops the run.

    Yields
    ------
    Progress
    """
    array = check_volume(volume)
    if method not in METHODS:
        raise InputError(f"Unknown method {method!r} for volumes; there are: {', '.join(METHODS)}.")
    if (method == "known-kernel" and kernel is None) or (method == "blind" and kernel is not None):
        raise InputError("Method 'known-kernel' needs a kernel, and 'blind' takes none; leave method at 'auto'.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError(f"seed must be an integer from 0 to 2^63 - 1; got {seed!r}.")
    checked = settings if isinstance(settings, VolumeSettings) else VolumeSettings.checked(dict(settings or {}))
    plan = VolumePlan(
        volume=array,
        intensity=Intensity.of(array),
        kernel=None if kernel is None else check_volume_kernel(kernel),
        weights=_weights(voxel_um),
        known=parse_constraints(checked, voxel_um) if kernel is None else Known({}),
        settings=checked,
        prior=None if kernel is not None else _prior(checked.kernel_prior),
        seed=int(seed),
        device=resolve_device(device),
    )
    return run_volume(plan)


def check_volume(volume: Any) -> np.ndarray:
    """``volume`` as a numeric array ``[Z, Y, X]``; InputError says what is wrong with it."""
    array = np.asarray(volume)
    if array.dtype.kind not in "uif" or array.ndim != 3:
        raise InputError(
            f"A volume is an array [Z, Y, X] of numbers; got shape {array.shape}, data type {array.dtype}."
        )
    if array.shape[0] < LEAST_PLANES or min(array.shape[1:]) < LEAST_SIDE:
        raise InputError(
            f"A volume needs {LEAST_PLANES} planes and {LEAST_SIDE} rows and columns or more; got {array.shape}. "
            "Deblur its planes instead."
        )
    if not np.isfinite(array).all():
        raise InputError("The volume holds NaN or infinite values; replace them (numpy.nan_to_num) first.")
    if array.min() == array.max():
        raise InputError(f"The volume is constant ({array.flat[0]} everywhere); there is nothing to restore.")
    return array


def check_volume_kernel(kernel: Any) -> np.ndarray:
    """``kernel`` as float32 ``[kz, kh, kw]``, >= 0, sum 1; InputError says what is wrong with it."""
    array = np.asarray(kernel)
    if array.dtype.kind not in "uif" or array.ndim != 3 or array.size == 0:
        raise InputError(f"A volume's kernel is an array [kz, kh, kw] of numbers; got shape {array.shape}.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all() or array.min() < 0 or array.sum() <= 0:
        raise InputError("The kernel must be finite and >= 0 everywhere, and its sum positive. Clip it first.")
    return (array / array.sum()).astype(np.float32)


def sides_um(sizes: Mapping[str, float], units: Mapping[str, str]) -> tuple[float, float, float] | None:
    """Sides of a voxel along z, y and x from pixel sizes and their units by axis; None where one is not known.

    A size without a unit of length counts as um.
    """
    if not set("ZYX") <= set(sizes):
        return None
    z, y, x = (float(sizes[axis]) * UM.get(units.get(axis, ""), 1.0) for axis in "ZYX")
    return z, y, x


def _weights(voxel_um: Sequence[float] | None) -> tuple[float, float, float]:
    """Of differences along z, y and x: per length, 1 along the shortest side of a voxel."""
    if voxel_um is None:
        return 1.0, 1.0, 1.0
    sides = np.asarray(voxel_um, dtype=np.float64) if np.ndim(voxel_um) == 1 else np.zeros(0)
    if sides.shape != (3,) or not np.isfinite(sides).all() or sides.min() <= 0:
        raise InputError(f"voxel_um must be three lengths > 0, along z, y and x; got {voxel_um!r}.")
    z, y, x = (sides.min() / sides).tolist()
    return z, y, x


def _prior(name: str) -> Generator:
    prior = load_prior(name)
    if prior.card.kind != "kernel" or len(prior.card.size) != 3 or not isinstance(prior.net, LinearGenerator):
        raise InputError(f"{name} is no linear generator of volumes' kernels; microscope-3d is one.")
    return prior


def run_volume(plan: VolumePlan) -> Yields[Progress, None, DeblurResult]:
    """Run a plan: yields snapshots, returns the result."""
    started, clock = datetime.now(UTC), time.perf_counter()
    blurred = _tensor(plan.intensity.to_working(plan.volume), plan.device)
    kernel = None if plan.kernel is None else _tensor(plan.kernel, plan.device)
    prior = None if plan.prior is None else Generator(plan.prior.card, plan.prior.net.to(plan.device))
    problem = Problem(blurred, plan.settings, kernel, seed=plan.seed, kernel_prior=prior)
    recipe = known_kernel(problem, plan.weights) if kernel is not None else blind(problem, plan.weights, plan.known)
    snapshots: list[Progress] = []
    try:
        while True:
            try:
                progress = _progress(next(recipe), plan.intensity)
            except StopIteration as end:
                solution: Solution = end.value
                break
            snapshots.append(Progress(progress.step, progress.total, progress.stage, losses=progress.losses))
            yield progress
    finally:
        recipe.close()
    status = Status(StatusCode.DONE, "The run went through to its end.")
    misfit = float(snapshots[-1].losses["misfit"][0])
    verdict = judge_volume(blurred, solution.image, solution.kernel, misfit, likelihood_gain(solution.candidates))
    found, layers = plan.intensity.to_native(solution.image[0, 0].cpu().numpy()), {}
    if verdict.word is Word.KEPT:
        found, layers = plan.volume.astype(np.float32), {REJECTED: found}
    seconds = time.perf_counter() - clock
    logger.info("volume %s: %s (%.1f s)", plan.volume.shape, verdict.reason, seconds)
    return DeblurResult(
        image=found,
        kernel=_numpy(solution.kernel),
        verdict=verdict,
        history=History.of(snapshots),
        status=status,
        provenance=_provenance(plan, started, seconds),
        chosen=solution.chosen,
        layers=layers,
        candidates=tuple((_numpy(candidate), figure) for candidate, figure in solution.candidates),
    )


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))[None, None].to(device)


def _numpy(kernel: torch.Tensor) -> np.ndarray:
    array = kernel[0, 0].detach().cpu().numpy().astype(np.float64).clip(0)
    return (array / array.sum()).astype(np.float32)


def _progress(snapshot: Snapshot, intensity: Intensity) -> Progress:
    image = None if snapshot.image is None else intensity.to_native(snapshot.image[0, 0].detach().cpu().numpy())
    kernel = None if snapshot.kernel is None else _numpy(snapshot.kernel)
    losses = {name: np.asarray(value.detach().cpu()) for name, value in snapshot.losses.items()}
    return Progress(snapshot.step, snapshot.total, snapshot.stage, image, kernel, losses)


def _provenance(plan: VolumePlan, started: datetime, seconds: float) -> Provenance:
    return provenance_of(
        "volume, blind" if plan.kernel is None else "volume, known-kernel",
        plan.settings.model_dump(mode="json"),
        {
            "weights": list(plan.weights),
            "kernel_sha256": None if plan.kernel is None else array_hash(plan.kernel),
            "kernel_prior_sha256": None if plan.prior is None else plan.prior.card.sha256,
        },
        seed=plan.seed,
        device=plan.device,
        input_sha256=array_hash(plan.volume),
        input_shape=plan.volume.shape,
        started=started,
        seconds=seconds,
    )
