"""How long a run will take: a first guess, set right by the runs before it on the same machine."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

from ..core.errors import FileError
from ..core.image_io import write_json
from .plan import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a run with default settings: ``start + per_megapixel * megapixels``.

    ``steps`` and ``restarts`` are those it was measured with, where seconds are in proportion to them.
    """

    start: float
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
LEAST = 0.05  # s; shorter runs say more about the machine's moods than about its speed
FURTHEST = 50.0  # a machine is neither so many times as fast nor as slow: such a run was disturbed


def expected_s(plan: Plan) -> float | None:
    """Seconds that a run of the plan will take here, within its budget; None for a method that nothing is known of."""
    guess = _guess(plan)
    if guess is None:
        return None
    seconds = guess * learnt().get(_key(plan), 1.0)
    return seconds if plan.time_limit_s is None else min(seconds, plan.time_limit_s)


def sentence(plan: Plan) -> str:
    """``expected_s`` for a person."""
    return in_words(expected_s(plan))


def in_words(seconds: float | None) -> str:
    """Seconds for a person, to two digits at most: "about 12 s"; empty where they are not known."""
    if seconds is None:
        return ""
    for length, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"about {float(f'{seconds / length:.2g}'):g} {unit}"
    return f"about {seconds:.0f} s" if seconds >= 1.5 else "about a second"


def learn(plan: Plan, seconds: float) -> None:
    """Remember how long a run took that went through to its end; nothing is said where that cannot be written."""
    guess = _guess(plan)
    if guess is not None and plan.time_limit_s is None:
        remember(_key(plan), seconds / guess, seconds)


def remember(key: str, ratio: float, seconds: float) -> None:
    """Remember that a run of ``seconds`` took so many times the first guess, under ``key``."""
    if seconds < LEAST:
        return
    ratio = min(max(ratio, 1 / FURTHEST), FURTHEST)
    known = learnt()
    # half the old, half the new, as one run may have shared the machine with another
    known[key] = round(exp((log(known.get(key, ratio)) + log(ratio)) / 2), 4)
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)
    except (OSError, FileError) as error:
        logger.info("the time of a run is not remembered: %s", error)


def file() -> Path:
    """Where it is remembered: ``{"method, variant, device": seconds over the first guess}``."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-genprior") / "seconds.json"


def _guess(plan: Plan) -> float | None:
    cost = COSTS.get(_kind(plan))
    if cost is None:
        return None
    seconds = cost.start + cost.per_megapixel * plan.image.shape[0] * plan.image.shape[1] / 1e6
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
    return ", ".join(filter(None, (*_kind(plan), plan.device.type)))


def learnt() -> dict[str, float]:
    """What is remembered: seconds over the first guess, by method, variant and device."""
    try:
        read = json.loads(file().read_text(encoding="utf-8"))
        return {str(key): min(max(float(ratio), 1 / FURTHEST), FURTHEST) for key, ratio in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # none yet, or damaged: begun anew
        return {}
