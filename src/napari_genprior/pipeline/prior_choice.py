"""Choose and load the pretrained networks that a request names, checked against the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import InputError
from ..methods.registry import Method
from ..nets.linear_gaussian import LinearGenerator
from ..settings import Settings
from ..zoo.card import Card
from ..zoo.initializers import initializer_card
from ..zoo.restorers import restorer_card
from ..zoo.store import Generator, list_priors, load_prior
from .request import Request

FIELDS = (("image_prior", "image"), ("kernel_prior", "kernel"))


def load_priors(request: Request, shape: Sequence[int], needed: bool) -> dict[str, Generator]:
    """Load the priors that the settings of a request name.

    Parameters
    ----------
    shape : sequence of int
        Of the piece in which the kernel is estimated.
    needed : bool
        Whether the kernel is unknown; a volume whose kernel is given needs no prior.

    Raises
    ------
    InputError
        A prior does not fit the image; the message lists those that do.
    """
    if request.mode == "3d":
        return {"kernel_prior": _volume_prior(request.settings)} if needed else {}
    found = {}
    for field, kind in FIELDS:
        name = getattr(request.settings, field, None)
        if name is None:
            continue
        fitting = ", ".join(card.name for card in fitting_priors(kind, shape, request.method))
        allowed = fitting or "none is installed; `genprior train` makes one"
        if not name:
            raise InputError(f"This method needs {field}=; for this image there are: {allowed}.")
        prior = load_prior(name)
        if prior.card.kind != kind or not _fits(prior.card, shape, request.method):
            size = "x".join(map(str, shape))
            raise InputError(
                f"{name} is a prior of {prior.card.kind}s of {prior.card.shape} px; the image is {size}. "
                f"As {field} there are: {allowed}."
            )
        found[field] = prior
    return found


def fitting_priors(kind: str, shape: Sequence[int], method: Method) -> list[Card]:
    """List the installed priors of a kind ("image", "kernel") for an image of this shape, the preferred ones first."""
    fitting = [card for card in list_priors() if card.kind == kind and _fits(card, shape, method)]
    return sorted(fitting, key=lambda card: method.prefers_linear and card.kind == "image" and card.arch != "linear")


def network_hashes(
    method: Method, settings: Settings, priors: Mapping[str, Generator], kernel_known: bool
) -> dict[str, str]:
    """Return names and weight hashes of the networks beside the priors that a run may use.

    Those are the initializer of its pair of priors (not used above some noise) and the restoration network. Installing
    or removing one changes the result.
    """
    cards = []
    fast = getattr(settings, "schedule", "fast") == "fast"
    if not kernel_known and len(priors) == 2 and not method.uses_patches and fast:
        image, kernel = priors["image_prior"].card, priors["kernel_prior"].card
        linear = method.prefers_linear and image.arch == "linear"
        cards.append(initializer_card(image, kernel, "kernel-initializer" if linear else "initializer"))
    if getattr(settings, "deconvolution", "tv") == "network":
        cards.append(restorer_card())
    return {card.name: card.sha256 for card in cards if card is not None}


def _fits(card: Card, shape: Sequence[int], method: Method) -> bool:
    not_larger = len(card.size) == 2 and all(side <= n for side, n in zip(card.size, shape, strict=False))
    if card.kind == "kernel":  # a plane, and not larger than the image
        return not_larger
    if card.channels != (3 if len(shape) == 3 else 1):
        return False
    return not_larger if method.uses_patches else card.size == tuple(shape[:2])


def _volume_prior(settings: Any) -> Generator:
    name = settings.kernel_prior
    prior = load_prior(name)
    if prior.card.kind != "kernel" or len(prior.card.size) != 3 or not isinstance(prior.net, LinearGenerator):
        raise InputError(f"{name} is not a linear generator of volume kernels; microscope-3d is one.")
    return prior
