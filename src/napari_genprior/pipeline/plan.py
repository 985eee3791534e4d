"""A request, checked and put together before anything is computed: arguments -> :class:`Plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from ..core.arrays import Intensity, check_fit, check_image, check_kernel, resolve_device
from ..core.errors import InputError, short_repr
from ..methods.registry import METHODS, Method
from ..settings import Settings
from ..zoo.card import Card
from ..zoo.initializers import start_card
from ..zoo.restorers import restorer_card
from ..zoo.store import Generator, list_priors, load_prior

KernelSize = int | tuple[int, int] | Literal["auto"] | None


@dataclass(frozen=True)
class Request:
    """What of a plan does not depend on the image, checked."""

    method: Method
    settings: Settings
    kernel: np.ndarray | None
    kernel_size: tuple[int, int] | None
    seed: int
    device: torch.device
    time_limit_s: float | None


@dataclass(frozen=True)
class Plan(Request):
    """A checked request and its image: everything a run needs, nothing computed yet.

    Parameters
    ----------
    priors : dict
        "image_prior", "kernel_prior": what the method's settings name.
    beside : sequence of array
        More images, of the same shape, that the same kernel blurred: they help to find it (stacks).
    """

    image: np.ndarray
    intensity: Intensity
    priors: dict[str, Generator]
    beside: Sequence[np.ndarray] = ()

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
        budget = "" if self.time_limit_s is None else f", at most {self.time_limit_s:g} s"
        return f"{height}x{width} px, {kernel}, {self.method.name} on {self.device}{budget}"


def plan(image: Any, method: str = "auto", **arguments: Any) -> Plan:
    """Check all arguments of :func:`.deblurring.deblur` and put them together; raises what that raises."""
    array = check_image(image)
    request = parse_request(method, **arguments)
    for shape in (request.kernel.shape if request.kernel is not None else None, request.kernel_size):
        if shape is not None:
            check_fit(shape, array.shape)
    return Plan(
        image=array,
        intensity=intensity_scale(array, request.settings),
        priors=_load_priors(request.settings, array, request.method),
        **vars(request),
    )


def intensity_scale(image: np.ndarray, settings: Settings) -> Intensity:
    """What the values of an image ``[Y, X]`` or ``[Y, X, 3 or 4]`` are to a method with these settings."""
    return Intensity.of(
        image[..., :3] if image.ndim == 3 else image,
        absolute="image_prior" in type(settings).model_fields,
        coded=is_coded(settings),
    )


def is_coded(settings: Settings) -> bool:
    """Whether values are taken for the code of light, which is solved for."""
    return getattr(settings, "transfer_function", "none") == "srgb"


def parse_request(
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
    time_limit_s: float | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
) -> Request:
    """What of :func:`plan` can be checked without an image; raises what that raises."""
    chosen = find_method("known-kernel" if method == "auto" and kernel is not None else method)
    given = None if kernel is None else check_kernel(kernel)
    if chosen.needs_kernel and given is None:
        raise InputError(
            f"Method {chosen.name!r} needs a kernel; pass kernel= (or choose a blind method, such as 'auto')."
        )
    size = check_kernel_size(kernel_size)
    if settings is not None and not isinstance(settings, Settings | Mapping):
        raise InputError(f"settings must be names and values (a mapping); got {short_repr(settings)}.")
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
        raise InputError(f"seed must be an integer from 0 to 2^63 - 1; got {short_repr(seed)}.")
    if time_limit_s is not None and not (isinstance(time_limit_s, int | float) and 0 < time_limit_s < float("inf")):
        raise InputError(
            f"time_limit_s must be a number of seconds > 0, or None for no limit; got {short_repr(time_limit_s)}."
        )
    checked = chosen.settings.checked(values)
    prior = getattr(checked, "kernel_prior", None)
    if size is not None and prior:
        raise InputError(
            f"The kernel prior {prior} has kernels of one size; got kernel_size={kernel_size}. "
            "Leave it 'auto', or choose a kernel prior of another size."
        )
    return Request(
        method=chosen,
        settings=checked,
        kernel=given,
        kernel_size=size,
        seed=int(seed),
        device=resolve_device(device),
        time_limit_s=time_limit_s,
    )


def _load_priors(settings: Settings, image: np.ndarray, method: Method) -> dict[str, Generator]:
    """The pretrained priors that settings name, checked against each other and the image."""
    found = {}
    for field, kind in (("image_prior", "image"), ("kernel_prior", "kernel")):
        name = getattr(settings, field, None)
        if name is None:
            continue
        fitting = ", ".join(card.name for card in fitting_priors(kind, image.shape, method))
        allowed = fitting or "none is installed; `genprior train` makes one"
        if not name:
            raise InputError(f"This method needs {field}=; for this image there are: {allowed}.")
        prior = load_prior(name)
        if prior.card.kind != kind or not _fits(prior.card, image.shape, method):
            size = "x".join(map(str, image.shape))
            raise InputError(
                f"{name} is a prior of {prior.card.kind}s of {prior.card.shape} px; the image is {size}. "
                f"As {field} there are: {allowed}."
            )
        found[field] = prior
    return found


def network_hashes(plan: Plan) -> dict[str, str]:
    """Names and weights' hashes of the networks beside the priors that a run of this plan asks, if it asks any.

    Those are the start network of its pair of priors (above some noise it is not asked) and the restorer. Installing
    or removing one changes the result.
    """
    cards = []
    if (
        plan.kernel is None
        and len(plan.priors) == 2
        and not plan.method.covers
        and getattr(plan.settings, "schedule", "fast") == "fast"
    ):
        image, kernel = plan.priors["image_prior"].card, plan.priors["kernel_prior"].card
        linear = plan.method.prefers_linear and image.arch == "linear"
        cards.append(start_card(image, kernel, "kernel-proposal" if linear else "proposal"))
    if getattr(plan.settings, "deconvolution", "tv") == "network":
        cards.append(restorer_card())
    return {card.name: card.sha256 for card in cards if card is not None}


def fitting_priors(kind: str, shape: Sequence[int], method: Method) -> list[Card]:
    """The installed priors of a kind ("image", "kernel") for an image of this shape, the method's favourites first."""
    fitting = [card for card in list_priors() if card.kind == kind and _fits(card, shape, method)]
    return sorted(fitting, key=lambda card: method.prefers_linear and card.kind == "image" and card.arch != "linear")


def _fits(card: Card, shape: Sequence[int], method: Method) -> bool:
    within = len(card.size) == 2 and all(side <= n for side, n in zip(card.size, shape, strict=False))
    if card.kind == "kernel":  # a plane, and not larger than the image
        return within
    if card.channels != (3 if len(shape) == 3 else 1):
        return False
    if method.covers:
        return within
    return card.size == tuple(shape[:2])


def find_method(name: str) -> Method:
    """Look a method up by name; InputError names those there are."""
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"Unknown method {short_repr(name)}; there are: {', '.join(METHODS)}.")
    return METHODS[name]


def check_kernel_size(size: KernelSize) -> tuple[int, int] | None:
    """Height and width in pixels, each raised to the next odd number; None for "auto"."""
    if size is None or size == "auto":
        return None
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sides):
        raise InputError(f"kernel_size must be 'auto', an integer, or (height, width); got {short_repr(size)}.")
    if min(sides) < 1:
        raise InputError(f"kernel_size must be at least 1 pixel; got {short_repr(size)}.")
    return int(sides[0]) | 1, int(sides[1]) | 1
