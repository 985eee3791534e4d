"""Estimate how long a run will take: a first guess, corrected by the runs before it on the same machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, prod
from pathlib import Path

from ..core.errors import FileError
from ..core.image_io import write_json
from .plan import Plan
from .stack import MAX_COMPANIONS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a run with default settings: ``overhead + per_megapixel * megapixels``.

    ``steps`` and ``restarts`` are those it was measured with, where seconds are proportional to them.
    """

    overhead: float
    per_megapixel: float
    steps: int | None = None
    restarts: int | None = None


# one thread of a 2-core server, 2026-11; only the first guess of an installation rests on them
COSTS = {
    ("known-kernel", ""): Cost(0.1, 3),
    ("classical", ""): Cost(1.3, 46),
    ("classical", "size given"): Cost(0.8, 21),
    ("project", ""): Cost(1, 10, restarts=10),
    ("generator", "fast"): Cost(0.1, 450),
    ("generator", "paper"): Cost(1, 45_000, steps=1500, restarts=10),
    ("relaxed", "fast"): Cost(0.8, 700),
    ("relaxed", "paper"): Cost(1, 300_000, steps=10_000, restarts=10),
    ("evidence", ""): Cost(4, 2000),
    ("patches", ""): Cost(3.7, 33),
    ("untrained", "fast"): Cost(15, 1800, steps=2000),
    ("untrained", "paper"): Cost(60, 800_000, steps=20_000),
    ("selfdeblur", "fast"): Cost(11, 1400, steps=1000),
    ("selfdeblur", "paper"): Cost(60, 200_000, steps=5000),
    ("selfdeblur-multiscale", "fast"): Cost(15, 2000, steps=250),
    ("selfdeblur-multiscale", "paper"): Cost(60, 200_000, steps=5000),
}
VOLUME_S_PER_MEGAVOXEL = {"known-kernel": 5.0, "blind": 125.0}  # processor seconds
COMPANION_SHARE = 0.6  # of the time of an estimation, for each plane more in which it is made
PLANE_SHARE = 0.3  # of the time of a known-kernel run, for a plane of a stack: it gets no verdict of its own
LEAST_S = 0.05  # shorter runs say more about the machine's load than about its speed
MAX_RATIO = 50.0  # a machine is neither so many times as fast nor as slow: such a run was disturbed


def expected_s(plan: Plan) -> float | None:
    """Return the seconds that a run will take here; None where nothing is known of its method."""
    guess = _guess(plan)
    if guess is None:
        return None
    seconds = guess * ratios().get(_key(plan), 1.0)
    return min(seconds, plan.time_limit_s) if plan.time_limit_s is not None and plan.single else seconds


def sentence(plan: Plan) -> str:
    """Return :func:`expected_s` in words."""
    return format_duration(expected_s(plan))


def format_duration(seconds: float | None) -> str:
    """Return seconds in words, to two digits at most: "about 12 s"; empty where they are not known."""
    if seconds is None:
        return ""
    for length, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"about {float(f'{seconds / length:.2g}'):g} {unit}"
    return f"about {seconds:.0f} s" if seconds >= 1.5 else "about a second"


def record(plan: Plan, seconds: float) -> None:
    """Record how long a completed run took; where that cannot be written, nothing is said."""
    guess = _guess(plan)
    if guess is not None and plan.time_limit_s is None:
        store(_key(plan), seconds / guess, seconds)


def store(key: str, ratio: float, seconds: float) -> None:
    """Store that a run of ``seconds`` took so many times the first guess, under ``key``."""
    if seconds < LEAST_S:
        return
    ratio = min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
    known = ratios()
    # half the old, half the new, as one run may have shared the machine with another
    known[key] = round(exp((log(known.get(key, ratio)) + log(ratio)) / 2), 4)
    path = ratio_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)
    except (OSError, FileError) as error:
        logger.info("the time of a run is not stored: %s", error)


def ratio_file() -> Path:
    """Return where the ratios are stored: ``{"method, variant, device": seconds over the first guess}``."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-genprior") / "seconds.json"


def ratios() -> dict[str, float]:
    """Return the stored ratios: seconds over the first guess, by method, variant and device."""
    try:
        read = json.loads(ratio_file().read_text(encoding="utf-8"))
        return {str(key): min(max(float(ratio), 1 / MAX_RATIO), MAX_RATIO) for key, ratio in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # none yet, or damaged: start anew
        return {}


def _guess(plan: Plan) -> float | None:
    """Return the first guess in seconds: estimations, then the restoration of the pieces."""
    layout, given = plan.layout, plan.kernels is not None
    shape, groups, pieces = layout.piece_shape, prod(layout.groups), prod(layout.pieces)
    if plan.is_volume:
        blind = 0.0 if given else groups * VOLUME_S_PER_MEGAVOXEL["blind"]
        return prod(shape) / 1e6 * (blind + pieces * VOLUME_S_PER_MEGAVOXEL["known-kernel"])
    if plan.single:
        return _of_image(plan, shape)
    known = _scaled(COSTS["known-kernel", ""], plan, shape)
    if plan.tiles is not None:
        tile = [side // count for side, count in zip(layout.sides("YX"), plan.tiles, strict=True)]
        searches = _of_estimation(plan, shape), _of_estimation(plan, tile)
        if searches[0] is None or searches[1] is None:
            return None
        return known + searches[0] + prod(plan.tiles) * searches[1]
    more = min(MAX_COMPANIONS, pieces // groups) - 1 if plan.method.name in ("auto", "classical") else 0
    search = _of_estimation(plan, [min(side, 480) for side in layout.sides("YX")], 1 + COMPANION_SHARE * more)
    return None if search is None else groups * search + pieces * PLANE_SHARE * known


def _of_estimation(plan: Plan, shape: Sequence[int], share: float = 1.0) -> float | None:
    """Return the guess for one kernel: ``share`` times that of a single image, within the time limit."""
    seconds = 0.0 if plan.kernels is not None else _of_image(plan, shape)
    if seconds is None:
        return None
    return min(share * seconds, float("inf") if plan.time_limit_s is None else plan.time_limit_s)


def _of_image(plan: Plan, shape: Sequence[int]) -> float | None:
    cost = COSTS.get(_kind(plan))
    return None if cost is None else _scaled(cost, plan, shape)


def _scaled(cost: Cost, plan: Plan, shape: Sequence[int]) -> float:
    seconds = cost.overhead + cost.per_megapixel * shape[0] * shape[1] / 1e6
    for field, measured in (("steps", cost.steps), ("restarts", cost.restarts)):
        requested = getattr(plan.settings, field, None)
        if measured is not None and requested is not None:
            seconds *= requested / measured
    return seconds * getattr(plan.settings, "ensemble", 1)


def _kind(plan: Plan) -> tuple[str, str]:
    name = "classical" if plan.method.name == "auto" else plan.method.name
    variant = getattr(plan.settings, "schedule", "")
    if name == "classical" and (plan.kernel_size is not None or plan.priors):
        variant = "size given"
    return name, variant


def _key(plan: Plan) -> str:
    what = "" if plan.single else "tiles" if plan.in_tiles else "stack"
    kind = ("volume", "given" if plan.kernels is not None else "blind") if plan.is_volume else _kind(plan)
    return ", ".join(filter(None, (what, *kind, plan.device.type)))
