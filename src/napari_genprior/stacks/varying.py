"""Blur that changes over the picture: a kernel for each of a grid of tiles, and a solve that goes from one to the next.

The kernels of the tiles are candidates for each other: a tile keeps its own, but for one of its neighbours' or the
picture's, that its pixels speak clearly less against. So a tile whose search failed has a neighbour's; one without any
detail has that of the busiest part.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator as Yields
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
import torch

from .. import planning
from .._generators import drain, relay
from .._tensors import check_kernel, to_tensor
from ..algorithms.classical import LEAST_NOISE
from ..classical.known_kernel import deconvolve, noise_std, strength_for
from ..classical.plausible import implausibility
from ..classical.rivals import KERNEL_NOISE
from ..deblurring import array_hash, iter_deblur, known_kernel, versions
from ..errors import InputError
from ..result import Progress, Provenance, Status, StatusCode, Verdict
from ..settings import KnownKernelSettings
from ..simulation import check_fit
from .by_tiles import Step, cut, restored_by_tiles, side_for
from .memory import Solves
from .shared import busiest_part, detail, in_middle, within

logger = logging.getLogger(__name__)

MOST_TILES = 12  # along an axis
LEAST_TILE = 48  # px
FOREIGN = 0.5  # so much less must speak against another kernel than against a tile's own
ROOM = 1.4  # size of the tiles' kernels over that of the busiest part
SMOOTH = 0.5  # weight of all neighbours together over that of the tile's own kernel, where both have as much detail
ALIKE = 4  # power of their correlation: kernels that differ are left apart
TOTAL = 1000  # of the progress bar
SHARES = (0.15, 0.55)  # of it: the kernel of all, those of the tiles; the rest is for the picture


@dataclass(frozen=True)
class VaryingResult:
    """A picture restored with kernels that change over it.

    Parameters
    ----------
    image : float32 array
        Shape and intensity scale of the input.
    kernels : float32 array [ty, tx, kh, kw]
        >= 0, sum 1 each; ``[i, j]`` is the one in the middle of tile ``[i, j]`` of the picture.
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


def kernel_map(kernels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw kernels ``[ty, tx, kh, kw]`` at their places in a plane of ``shape``, each with its brightest pixel at 1."""
    drawn = np.zeros(shape, np.float32)
    rows, columns = kernels.shape[:2]
    for i, j in product(range(rows), range(columns)):
        kernel = kernels[i, j] / kernels[i, j].max()
        top, left = (
            round((place + 0.5) * length / count) - side // 2
            for place, length, count, side in zip((i, j), shape, (rows, columns), kernel.shape, strict=True)
        )
        inside = kernel[max(0, -top) : shape[0] - top, max(0, -left) : shape[1] - left]
        y, x = max(0, top), max(0, left)
        part = drawn[y : y + inside.shape[0], x : x + inside.shape[1]]
        np.maximum(part, inside, out=part)
    return drawn


def deblur_varying(image: Any, tiles: tuple[int, int] = (3, 3), **arguments: Any) -> VaryingResult:
    """Make a picture sharp whose blur changes over it: a shake that turns the camera, a lens out of focus at its edge.

    A kernel is found for each of a grid of tiles, at the size that the busiest part of the picture needs; each is
    compared with its neighbours', centred, and smoothed with them. The picture is solved in windows with the kernels
    in between, blended.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, 3 or 4]
    tiles : (int, int)
        Rows and columns of tiles.
    kernel : array, optional
        The kernels where they are known: ``[ty, tx, kh, kw]``, at the middles of the tiles.
    **arguments
        Of :func:`~napari_genprior.deblur`; ``budget_s`` goes for each search.

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
    return drain(iter_deblur_varying(image, tiles, **arguments))


def iter_deblur_varying(
    image: Any, tiles: tuple[int, int] = (3, 3), *, kernel: Any = None, **arguments: Any
) -> Yields[Progress, None, VaryingResult]:
    """As :func:`deblur_varying`, yielding how far it is; the generator's return value is the result.

    Arguments are checked at the call. Closing the generator stops the run.

    Yields
    ------
    Progress
    """
    given = None
    if kernel is not None:
        array = np.asarray(kernel)
        if array.ndim != 4:
            raise InputError(f"The kernels have shape {array.shape}; here they need [ty, tx, kh, kw].")
        given = np.stack([check_kernel(each) for each in array.reshape(-1, *array.shape[-2:])]).reshape(array.shape)
        tiles = (array.shape[0], array.shape[1])
        check_fit(array.shape[-2:], np.shape(image))
        arguments = {"method": "auto", "kernel": given[0, 0], **arguments}
    plan = planning.plan(image, **arguments)
    _check_tiles(tiles, plan.image.shape)
    return _run(plan, tiles, given, arguments)


def _check_tiles(tiles: tuple[int, int], shape: tuple[int, ...]) -> None:
    whole = isinstance(tiles, tuple | list) and len(tiles) == 2 and all(isinstance(n, int | np.integer) for n in tiles)
    if not whole or not all(1 <= n <= MOST_TILES for n in tiles):
        raise InputError(f"tiles must be rows and columns, each from 1 to {MOST_TILES}; got {tiles!r}.")
    sides = [length // count for length, count in zip(shape, tiles, strict=False)]
    if min(sides) < LEAST_TILE:
        raise InputError(
            f"{tiles[0]}x{tiles[1]} tiles of a picture of {shape[0]}x{shape[1]} px are {sides[0]}x{sides[1]} px; they "
            f"must be {LEAST_TILE}x{LEAST_TILE} or more. Take fewer."
        )


def _run(
    plan: planning.Plan, tiles: tuple[int, int], given: np.ndarray | None, arguments: dict[str, Any]
) -> Yields[Progress, None, VaryingResult]:
    started, clock = datetime.now(UTC), time.perf_counter()
    image = plan.image
    settings = plan.settings if isinstance(plan.settings, KnownKernelSettings) else KnownKernelSettings.checked({})
    blurred = to_tensor(image, plan.intensity, torch.device("cpu"))
    noise = max(float(noise_std(blurred).mean()), KERNEL_NOISE if given is None else LEAST_NOISE)
    places = product(range(tiles[0]), range(tiles[1]))
    parts: dict[tuple[int, int], np.ndarray] = {place: image[_window(place, tiles, image.shape)] for place in places}
    details = {place: detail(part) for place, part in parts.items()}
    done = 0.0
    kernels = given
    if kernels is None:
        kernels = yield from _found(plan, tiles, parts, details, noise, arguments)
        done = sum(SHARES)
    rows, columns = cut((image.shape[0], image.shape[1]), kernels, side_for((kernels.shape[-2], kernels.shape[-1])))
    solves, strips = Solves(plan.device), []
    step = Step(kernels, noise, plan.intensity, settings)
    total = len(rows) * len(columns)
    for number, ready in enumerate(restored_by_tiles(image, rows, columns, step, solves), 1):
        if ready is not None:
            strips.append(ready)
        yield _progress(done + (1 - done) * number / total, f"window {number} of {total}")
    best = max(details, key=lambda place: details[place])
    verdict = known_kernel(parts[best], kernels[best]).verdict
    status = Status(StatusCode.DONE, " ".join(["The run went through to its end.", *solves.notes]))
    seconds = time.perf_counter() - clock
    provenance = _provenance(plan, tiles, given, str(solves.device), started, seconds)
    logger.info("%s, %dx%d tiles: %s (%.1f s)", plan.sentence, *tiles, verdict.reason, seconds)
    return VaryingResult(np.concatenate(strips), kernels, verdict, status, provenance)


def _window(place: tuple[int, int], tiles: tuple[int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A tile. More of the picture would bring in other blurs, which mislead the comparison of kernels most of all."""
    rows, columns = (
        slice(round(index * length / count), round((index + 1) * length / count))
        for index, count, length in zip(place, tiles, shape, strict=False)
    )
    return rows, columns


def _found(
    plan: planning.Plan,
    tiles: tuple[int, int],
    parts: dict[tuple[int, int], np.ndarray],
    details: dict[tuple[int, int], float],
    noise: float,
    arguments: dict[str, Any],
) -> Yields[Progress, None, np.ndarray]:
    """The kernels ``[ty, tx, kh, kw]``, searched, compared and smoothed."""

    def of_all(progress: Progress) -> Progress:
        return replace(
            _progress(SHARES[0] * progress.fraction, f"kernel of all: {progress.stage}"), kernel=progress.kernel
        )

    whole = yield from relay(iter_deblur(busiest_part(plan.image), **arguments), of_all)
    sides = plan.kernel_size
    if sides is None:  # the blur of other tiles may be wider, and turned
        room = min(min(part.shape[:2]) for part in parts.values()) // 2
        side = min(round(ROOM * max(whole.kernel.shape)), room - 1) | 1
        sides = (side, side)
    common = within(in_middle(whole.kernel), [max(n, k) for n, k in zip(sides, whole.kernel.shape, strict=True)])
    own: dict[tuple[int, int], np.ndarray] = {}
    for number, (place, part) in enumerate(parts.items()):
        if details[place] <= 0:
            continue
        first = SHARES[0] + SHARES[1] * number / len(parts)

        def of_tile(progress: Progress, first: float = first, number: int = number) -> Progress:
            at = first + SHARES[1] / len(parts) * progress.fraction
            return replace(_progress(at, f"kernel {number + 1} of {len(parts)}"), kernel=progress.kernel)

        # a kernel prior has a size of its own
        search = iter_deblur(part, **{**arguments, "kernel_size": "auto" if "kernel_prior" in plan.priors else sides})
        own[place] = within(in_middle((yield from relay(search, of_tile)).kernel), common.shape)
    chosen: dict[tuple[int, int], np.ndarray] = {}
    for place, part in parts.items():
        if place not in own:
            chosen[place] = common
            continue
        grey = to_tensor(part, plan.intensity, torch.device("cpu")).mean(1, keepdim=True)
        others = [own[other] for other in _neighbours(place, tiles) if other in own] + [common]
        against = [_against(grey, kernel, noise) for kernel in others]
        best = int(np.argmin(against))
        better = against[best] < _against(grey, own[place], noise) - FOREIGN
        chosen[place] = others[best] if better else own[place]
    return _smoothed(chosen, details, tiles)


def _against(grey: torch.Tensor, kernel: np.ndarray, noise: float) -> float:
    k = torch.from_numpy(kernel)[None, None]
    return implausibility(grey, deconvolve(grey, k, strength_for(noise)), k)


def _neighbours(place: tuple[int, int], tiles: tuple[int, int]) -> list[tuple[int, int]]:
    y, x = place
    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return [(i, j) for i, j in around if 0 <= i < tiles[0] and 0 <= j < tiles[1]]


def _smoothed(
    kernels: dict[tuple[int, int], np.ndarray], details: dict[tuple[int, int], float], tiles: tuple[int, int]
) -> np.ndarray:
    """Each kernel with its neighbours', weighted by the detail they rest on and by how alike they are."""
    first = next(iter(kernels.values()))
    made = np.zeros((*tiles, *first.shape), np.float32)
    most = max(details.values())
    for place, kernel in kernels.items():
        near = _neighbours(place, tiles)
        weight = max(details[place], 1e-3 * most)
        total = weight * kernel.astype(np.float64)
        for other in near:
            alike = max(0.0, float(np.corrcoef(kernel.ravel(), kernels[other].ravel())[0, 1])) ** ALIKE
            total += SMOOTH / len(near) * alike * max(details[other], 0.0) * kernels[other]
        made[place] = in_middle(total / total.sum())
    return made


def _progress(fraction: float, stage: str) -> Progress:
    return Progress(round(TOTAL * fraction), TOTAL, stage)


def _provenance(
    plan: planning.Plan,
    tiles: tuple[int, int],
    given: np.ndarray | None,
    device: str,
    started: datetime,
    seconds: float,
) -> Provenance:
    return Provenance(
        method=plan.method.name,
        settings=plan.settings.model_dump(mode="json"),
        arguments={
            "tiles": list(tiles),
            "kernel_size": "auto" if plan.kernel_size is None else list(plan.kernel_size),
            "kernel_sha256": None if given is None else array_hash(given),
            "budget_s": plan.budget_s,
        },
        seed=plan.seed,
        device=device,
        dtype="float32",
        threads=torch.get_num_threads(),
        input_sha256=array_hash(plan.image),
        input_shape=plan.image.shape,
        versions=versions(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
    )
