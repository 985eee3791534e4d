"""Blur that changes over the image: a kernel for each of a grid of tiles, a solve that goes from one to the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator as Yields
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ..core.arrays import check_fit, check_kernel, to_tensor
from ..core.errors import InputError
from ..core.iteration import map_states, run_to_end
from ..core.provenance import array_hash, provenance_of
from ..core.result import Progress, Provenance, Status, StatusCode, Verdict
from ..operators.detail import detail
from ..operators.noise import KERNEL_NOISE, LEAST_NOISE, noise_std
from ..settings import KnownKernelSettings
from . import plan as planning
from .device_memory import Solves
from .kernel_field import found_by_place, in_tiles, kernel_map
from .run import known_kernel
from .tiled_deconvolution import Step, cut, restored_by_tiles, side_for

logger = logging.getLogger(__name__)

MOST_TILES = 12  # along an axis
LEAST_TILE = 48  # px
TOTAL = 1000  # of the progress bar
SEARCHES = 0.7  # of it, for the kernels; the rest is for the image


@dataclass(frozen=True)
class VaryingResult:
    """An image restored with kernels that change over it.

    Parameters
    ----------
    image : float32 array
        Shape and intensity scale of the input.
    kernels : float32 array [ty, tx, kh, kw]
        >= 0, sum 1 each; ``[i, j]`` is the one in the middle of tile ``[i, j]`` of the image.
    verdict : Verdict
        On the tile with the most detail.
    """

    image: np.ndarray
    kernels: np.ndarray
    verdict: Verdict
    status: Status
    provenance: Provenance

    def report(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        return {
            "status": asdict(self.status),
            "verdict": asdict(self.verdict),
            "kernels_shape": list(self.kernels.shape),
            "provenance": asdict(self.provenance),
        }

    @property
    def map(self) -> np.ndarray:
        """The kernels drawn at their places: float32 [Y, X], each with its brightest pixel at 1."""
        return kernel_map(self.kernels, (self.image.shape[0], self.image.shape[1]))


def deblur_varying(image: Any, tiles: tuple[int, int] = (3, 3), **arguments: Any) -> VaryingResult:
    """Make an image sharp whose blur changes over it: a shake that turns the camera, a lens out of focus at its edge.

    A kernel is found for each of a grid of tiles, at the size that the busiest part of the image needs; each is
    compared with its neighbours', centred, and smoothed with them. The image is solved in windows with the kernels
    in between, blended.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, 3 or 4]
    tiles : (int, int)
        Rows and columns of tiles.
    kernel : array, optional
        The kernels where they are known: ``[ty, tx, kh, kw]``, at the middles of the tiles.
    **arguments
        Of :func:`~napari_genprior.deblur`; ``time_limit_s`` goes for each search.

    Returns
    -------
    VaryingResult

    Raises
    ------
    InputError
        As ``deblur``; tiles too many or too small.

    Notes
    -----
    The model is ``y = sum_i k_i * (w_i x)``, windows ``w_i`` that sum to 1 [1]_, here with windows so small that in
    each of them one kernel, linear between the four around, goes for all.

    References
    ----------
    .. [1] M. Hirsch, S. Sra, B. Schoelkopf, S. Harmeling, "Efficient filter flow for space-variant multiframe blind
       deconvolution", CVPR 2010.
    """
    return run_to_end(iter_deblur_varying(image, tiles, **arguments))


def iter_deblur_varying(
    image: Any, tiles: tuple[int, int] = (3, 3), *, kernel: Any = None, **arguments: Any
) -> Yields[Progress, None, VaryingResult]:
    """As :func:`deblur_varying`, yielding how far it is; the generator's return value is the result.

    Arguments are checked at the call. Closing the generator stops the run.

    Yields
    ------
    Progress
    """
    return run_varying(plan_varying(image, tiles, kernel=kernel, **arguments))


@dataclass(frozen=True)
class VaryingPlan:
    """A checked request for an image whose blur changes over it.

    Parameters
    ----------
    whole : Plan
        The request as if one kernel went for all of the image; ``arguments`` are those it was made of.
    given : float32 array [ty, tx, kh, kw] or None
        The kernels where they are known.
    """

    whole: planning.Plan
    tiles: tuple[int, int]
    given: np.ndarray | None
    arguments: dict[str, Any]

    @property
    def sentence(self) -> str:
        """What will happen, for a person."""
        (rows, columns), (height, width) = self.tiles, self.whole.image.shape[:2]
        size = f"{height // rows}x{width // columns} px"
        return f"{rows}x{columns} tiles of {size}, a kernel each; {self.whole.sentence.partition(', ')[2]}"


def plan_varying(image: Any, tiles: tuple[int, int] = (3, 3), *, kernel: Any = None, **arguments: Any) -> VaryingPlan:
    """Check all arguments of :func:`deblur_varying` and put them together; raises what that raises."""
    given = None
    if kernel is not None:
        array = np.asarray(kernel)
        if array.ndim != 4:
            raise InputError(f"The kernels have shape {array.shape}; here they need [ty, tx, kh, kw].")
        given = np.stack([check_kernel(each) for each in array.reshape(-1, *array.shape[-2:])]).reshape(array.shape)
        tiles = (array.shape[0], array.shape[1])
        check_fit(array.shape[-2:], np.shape(image))
        arguments = {"method": "auto", "kernel": given[0, 0], **arguments}
    whole = planning.plan(image, **arguments)
    if "image_prior" in whole.priors:
        raise InputError(
            f"{whole.method.name!r} needs an image of the size of its image prior, and tiles are smaller; "
            "choose a method without one, such as 'auto'."
        )
    _check_tiles(tiles, whole.image.shape)
    return VaryingPlan(whole, (int(tiles[0]), int(tiles[1])), given, arguments)


def _check_tiles(tiles: tuple[int, int], shape: tuple[int, ...]) -> None:
    whole = isinstance(tiles, tuple | list) and len(tiles) == 2 and all(isinstance(n, int | np.integer) for n in tiles)
    if not whole or not all(1 <= n <= MOST_TILES for n in tiles):
        raise InputError(f"tiles must be rows and columns, each from 1 to {MOST_TILES}; got {tiles!r}.")
    sides = [length // count for length, count in zip(shape, tiles, strict=False)]
    if min(sides) < LEAST_TILE:
        raise InputError(
            f"{tiles[0]}x{tiles[1]} tiles of an image of {shape[0]}x{shape[1]} px are {sides[0]}x{sides[1]} px; they "
            f"must be {LEAST_TILE}x{LEAST_TILE} or more. Take fewer."
        )


def run_varying(plan: VaryingPlan) -> Yields[Progress, None, VaryingResult]:
    """Run a plan: yields how far it is, returns the result."""
    started, clock = datetime.now(UTC), time.perf_counter()
    whole, image, kernels = plan.whole, plan.whole.image, plan.given
    settings = whole.settings if isinstance(whole.settings, KnownKernelSettings) else KnownKernelSettings.checked({})
    blurred = to_tensor(image, whole.intensity, torch.device("cpu"))
    noise = max(float(noise_std(blurred).mean()), KERNEL_NOISE if kernels is None else LEAST_NOISE)
    parts, done = in_tiles(image, plan.tiles), 0.0
    if kernels is None:

        def of_search(progress: Progress) -> Progress:
            return replace(_progress(SEARCHES * progress.fraction, progress.stage), kernel=progress.kernel)

        kernels = yield from map_states(found_by_place(whole, parts, noise, plan.arguments), of_search)
        done = SEARCHES
    rows, columns = cut((image.shape[0], image.shape[1]), kernels, side_for((kernels.shape[-2], kernels.shape[-1])))
    solves, strips = Solves(whole.device), []
    step = Step(kernels, noise, whole.intensity, settings)
    total = len(rows) * len(columns)
    for number, ready in enumerate(restored_by_tiles(image, rows, columns, step, solves), 1):
        if ready is not None:
            strips.append(ready)
        yield _progress(done + (1 - done) * number / total, f"window {number} of {total}")
    best = max(parts, key=lambda place: detail(parts[place]))
    verdict = known_kernel(parts[best], kernels[best]).verdict
    status = Status(StatusCode.DONE, " ".join(["The run went through to its end.", *solves.notes]))
    seconds = time.perf_counter() - clock
    logger.info("%s: %s (%.1f s)", plan.sentence, verdict.reason, seconds)
    provenance = _provenance(plan, str(solves.device), started, seconds)
    return VaryingResult(np.concatenate(strips), kernels, verdict, status, provenance)


def _progress(fraction: float, stage: str) -> Progress:
    return Progress(round(TOTAL * fraction), TOTAL, stage)


def _provenance(plan: VaryingPlan, device: str, started: datetime, seconds: float) -> Provenance:
    whole = plan.whole
    return provenance_of(
        whole.method.name,
        whole.settings.model_dump(mode="json"),
        {
            "tiles": list(plan.tiles),
            "kernel_size": "auto" if whole.kernel_size is None else list(whole.kernel_size),
            "kernel_sha256": None if plan.given is None else array_hash(plan.given),
            "time_limit_s": whole.time_limit_s,
        },
        seed=whole.seed,
        device=device,
        input_sha256=array_hash(whole.image),
        input_shape=whole.image.shape,
        started=started,
        seconds=seconds,
    )
