"""The front door: checked input -> plan -> recipe -> result with verdict and provenance."""

from __future__ import annotations

import hashlib
import logging
import platform
import time
from collections.abc import Generator as Yields
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import torch

from . import __version__
from ._generators import drain
from ._tensors import Intensity, check_image, check_kernel, resolve_device, to_image, to_tensor
from .algorithms import Problem, Snapshot, Solution
from .errors import InputError
from .methods import METHODS, Method
from .result import SPREAD, DeblurResult, History, Progress, Provenance, Status, StatusCode
from .settings import Settings
from .simulation import check_fit
from .verdict import judge
from .zoo.card import Card
from .zoo.store import Generator, list_priors, load_prior

logger = logging.getLogger(__name__)

KernelSize = int | tuple[int, int] | Literal["auto"] | None


@dataclass(frozen=True)
class Plan:
    """A checked wish: everything a run needs, nothing computed yet."""

    image: np.ndarray
    intensity: Intensity
    method: Method
    settings: Settings
    kernel: np.ndarray | None
    kernel_size: tuple[int, int] | None
    seed: int
    device: torch.device
    priors: dict[str, Generator]  # "image_prior", "kernel_prior": what the method's settings name

    @property
    def sentence(self) -> str:
        """What will happen, for a person."""
        height, width = self.image.shape[:2]
        if self.kernel is not None:
            kernel = f"given kernel of {self.kernel.shape[0]}x{self.kernel.shape[1]} px"
        elif self.kernel_size is not None:
            kernel = f"unknown kernel of {self.kernel_size[0]}x{self.kernel_size[1]} px"
        elif "kernel_prior" in self.priors:
            kernel = f"kernel as in {self.priors['kernel_prior'].card.name}"
        else:
            kernel = "unknown kernel, its size found"
        return f"{height}x{width} px, {kernel}, {self.method.name} on {self.device}"


def plan(
    image: Any,
    method: str = "auto",
    *,
    kernel: Any = None,
    kernel_size: KernelSize = "auto",
    image_prior: str | None = None,
    kernel_prior: str | None = None,
    restarts: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: Settings | Mapping[str, Any] | None = None,
) -> Plan:
    """Check all arguments of :func:`deblur` and put them together; raises what :func:`deblur` raises."""
    picture = check_image(image)
    chosen = find_method("known-kernel" if method == "auto" and kernel is not None else method)
    given = None if kernel is None else check_kernel(kernel)
    if chosen.needs_kernel and given is None:
        raise InputError(
            f"Method {chosen.name!r} needs a kernel; pass kernel= (or choose a blind method, such as 'auto')."
        )
    size = check_kernel_size(kernel_size)
    for shape in (given.shape if given is not None else None, size):
        if shape is not None:
            check_fit(shape, picture.shape)
    values = settings.model_dump() if isinstance(settings, Settings) else dict(settings or {})
    extras = {"image_prior": image_prior, "kernel_prior": kernel_prior, "restarts": restarts, "steps": steps}
    for name, value in extras.items():
        if value is None:
            continue
        if name not in chosen.settings.model_fields:
            takes = ", ".join(n for n in extras if n in chosen.settings.model_fields) or "none of these"
            raise InputError(f"Method {chosen.name!r} takes no {name}; of {', '.join(extras)} it takes: {takes}.")
        values[name] = value
    if isinstance(settings, Settings) and not isinstance(settings, chosen.settings):
        raise InputError(f"Method {chosen.name!r} takes {chosen.settings.__name__}, not {type(settings).__name__}.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError(f"seed must be an integer from 0 to 2^63 - 1; got {seed!r}.")
    checked = chosen.settings.checked(values)
    return Plan(
        image=picture,
        intensity=Intensity.of(
            picture[..., :3] if picture.ndim == 3 else picture, absolute="image_prior" in chosen.settings.model_fields
        ),
        method=chosen,
        settings=checked,
        kernel=given,
        kernel_size=size,
        seed=int(seed),
        device=resolve_device(device),
        priors=_load_priors(checked, picture, chosen),
    )


def _load_priors(settings: Settings, picture: np.ndarray, method: Method) -> dict[str, Generator]:
    """The pretrained priors that settings name, checked against each other and the picture."""
    found = {}
    for field, kind in (("image_prior", "image"), ("kernel_prior", "kernel")):
        name = getattr(settings, field, None)
        if name is None:
            continue
        fitting = ", ".join(card.name for card in fitting_priors(kind, picture.shape, method))
        allowed = fitting or "none is installed; `genprior train` makes one"
        if not name:
            raise InputError(f"This method needs {field}=; for this picture there are: {allowed}.")
        prior = load_prior(name)
        if prior.card.kind != kind or not _fits(prior.card, picture.shape):
            size = "x".join(map(str, picture.shape))
            raise InputError(
                f"{name} is a prior of {prior.card.kind}s of {prior.card.shape} px; the picture is {size}. "
                f"As {field} there are: {allowed}."
            )
        if not _serves(prior.card, method):
            raise InputError(
                f"Method {method.name!r} needs a linear picture prior; {name} is not. There are: {allowed}."
            )
        found[field] = prior
    return found


def fitting_priors(kind: str, shape: Sequence[int], method: Method) -> list[Card]:
    """The installed priors of a kind ("image", "kernel") that a method can use with a picture of this shape."""
    return [card for card in list_priors() if card.kind == kind and _fits(card, shape) and _serves(card, method)]


def _serves(card: Card, method: Method) -> bool:
    return not method.linear_prior or card.kind != "image" or card.arch == "linear"


def _fits(card: Card, shape: Sequence[int]) -> bool:
    if card.kind == "kernel":  # a plane, and not larger than the picture
        return len(card.size) == 2 and all(side <= n for side, n in zip(card.size, shape, strict=False))
    return card.size == tuple(shape[:2]) and card.channels == (3 if len(shape) == 3 else 1)


def find_method(name: str) -> Method:
    """Look a method up by name; InputError names those there are."""
    if name not in METHODS:
        raise InputError(f"Unknown method {name!r}; there are: {', '.join(METHODS)}.")
    return METHODS[name]


def check_kernel_size(size: KernelSize) -> tuple[int, int] | None:
    """Height and width in pixels, each raised to the next odd number; None for "auto"."""
    if size is None or size == "auto":
        return None
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sides):
        raise InputError(f"kernel_size must be 'auto', an integer, or (height, width); got {size!r}.")
    if min(sides) < 1:
        raise InputError(f"kernel_size must be at least 1 pixel; got {size!r}.")
    return int(sides[0]) | 1, int(sides[1]) | 1


def iter_deblur(image: Any, method: str = "auto", **arguments: Any) -> Yields[Progress, None, DeblurResult]:
    """As :func:`deblur`, handing out snapshots on the way; the generator's return value is the result.

    Arguments are checked at the call, before the first snapshot. Closing the generator stops the run.

    Yields
    ------
    Progress
    """
    return run(plan(image, method, **arguments))


def deblur(image: Any, method: str = "auto", **arguments: Any) -> DeblurResult:
    """Make a blurred picture sharp; its blur kernel is found too, unless it is given.

    Parameters
    ----------
    image : array [Y, X] or [Y, X, 3 or 4]
        Blurred picture: any integer or float type, any range; RGB channels share one kernel, alpha is kept.
    method : str
        One of ``napari_genprior.methods.METHODS``; "auto" picks.
    kernel : array [kh, kw], optional
        The kernel, where it is known: >= 0; it is normalised to sum 1.
    kernel_size : "auto", int or (int, int)
        Side, or height and width, of the unknown kernel in pixels; raised to odd numbers.
    image_prior, kernel_prior : str, optional
        Names of pretrained priors, for the methods that use them.
    restarts, steps : int, optional
        For the methods that have them.
    seed : int
        Equal seeds give equal results on one machine with one number of threads.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    settings : Settings or mapping, optional
        The method's own settings, see :mod:`napari_genprior.settings`.

    Returns
    -------
    DeblurResult

    Raises
    ------
    InputError
        Picture, kernel or arguments cannot be used; the message says what is allowed.
    DeviceError
        No such device.
    """
    return drain(iter_deblur(image, method, **arguments))


def known_kernel(image: Any, kernel: Any, **arguments: Any) -> DeblurResult:
    """Make a picture sharp whose blur kernel is known: ``deblur(image, "known-kernel", kernel=kernel)``."""
    return deblur(image, "known-kernel", kernel=kernel, **arguments)


def run(plan: Plan) -> Yields[Progress, None, DeblurResult]:
    """Run a plan: yields snapshots, returns the result."""
    started, clock = datetime.now(UTC), time.perf_counter()
    device = plan.device
    blurred = to_tensor(plan.image, plan.intensity, device)
    kernel = None if plan.kernel is None else torch.from_numpy(plan.kernel)[None, None].to(device)
    priors = {field: Generator(prior.card, prior.net.to(device)) for field, prior in plan.priors.items()}
    problem = Problem(blurred, plan.settings, kernel, plan.kernel_size, plan.seed, **priors)
    recipe = plan.method.recipe(problem)
    snapshots: list[Progress] = []
    while True:
        try:
            progress = _to_progress(next(recipe), plan)
        except StopIteration as end:
            solution: Solution = end.value
            break
        # only figures are kept: a preview per step of a large picture would fill the memory
        snapshots.append(Progress(progress.step, progress.total, progress.stage, losses=progress.losses))
        yield progress
    status = Status(StatusCode.DONE, "The run went through to its end.")
    if solution.diverged:
        status = Status(StatusCode.DIVERGED, "The losses became NaN or infinite; the last good state was kept.")
    image = to_image(solution.image, plan.intensity, plan.image)
    seconds = time.perf_counter() - clock
    kernel_found = solution.kernel[0, 0].cpu().numpy()
    result = _result(plan, image, kernel_found, snapshots, status, started, seconds, solution.chosen)
    return replace(result, layers={name: _to_layer(name, extra, plan) for name, extra in solution.extras.items()})


def result_so_far(plan: Plan, last: Progress, seconds: float) -> DeblurResult | None:
    """The result of a run that was stopped at snapshot ``last``; None where that holds no picture and kernel yet."""
    if last.image is None or last.kernel is None:
        return None
    status = Status(
        StatusCode.STOPPED, f"Stopped at step {last.step} of {last.total} ({last.stage}); the state so far was kept."
    )
    return _result(plan, last.image, last.kernel, [last], status, datetime.now(UTC), seconds, 0)


def _to_progress(snapshot: Snapshot, plan: Plan) -> Progress:
    image = None if snapshot.image is None else to_image(snapshot.image, plan.intensity, plan.image)
    kernel = None if snapshot.kernel is None else _as_kernel(snapshot.kernel[0, 0].detach().cpu().numpy())
    losses = {name: np.asarray(torch.as_tensor(value).detach().cpu()) for name, value in snapshot.losses.items()}
    return Progress(snapshot.step, snapshot.total, snapshot.stage, image, kernel, losses)


def _to_layer(name: str, extra: torch.Tensor, plan: Plan) -> np.ndarray:
    if name != SPREAD:
        return to_image(extra, plan.intensity, plan.image)
    # a standard deviation has the scale of the input, but not its offset; one value for all channels
    return (extra[0].detach().square().mean(0).sqrt() * plan.intensity.scale).cpu().numpy()


def _as_kernel(kernel: np.ndarray) -> np.ndarray:
    kernel = np.clip(kernel.astype(np.float64), 0, None)
    return (kernel / kernel.sum()).astype(np.float32)


def _result(
    plan: Plan,
    image: np.ndarray,
    kernel: np.ndarray,
    snapshots: list[Progress],
    status: Status,
    started: datetime,
    seconds: float,
    chosen: int,
) -> DeblurResult:
    kernel = _as_kernel(kernel)
    verdict = judge(
        to_tensor(plan.image, plan.intensity, torch.device("cpu")),
        to_tensor(image, plan.intensity, torch.device("cpu")),
        torch.from_numpy(kernel)[None, None],
        status,
        kernel_given=plan.kernel is not None,
    )
    provenance = Provenance(
        method=plan.method.name,
        settings=plan.settings.model_dump(mode="json"),
        arguments={
            "kernel_size": "auto" if plan.kernel_size is None else list(plan.kernel_size),
            "kernel_sha256": None if plan.kernel is None else array_hash(plan.kernel),
            **{f"{field}_sha256": prior.card.sha256 for field, prior in plan.priors.items()},
        },
        seed=plan.seed,
        device=str(plan.device),
        dtype="float32",
        threads=torch.get_num_threads(),
        input_sha256=array_hash(plan.image),
        input_shape=plan.image.shape,
        versions=versions(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
    )
    logger.info("%s: %s (%.1f s)", plan.sentence, verdict.reason, seconds)
    return DeblurResult(image, kernel, verdict, History.of(snapshots), status, provenance, chosen)


def array_hash(array: np.ndarray) -> str:
    """SHA-256 over data type, shape and values."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "napari-genprior": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
