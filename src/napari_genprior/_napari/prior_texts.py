"""Describe pretrained priors: what fits, how well they represent images, and their licences. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence

from ..methods.registry import Method
from ..zoo.card import Card
from ..zoo.store import list_priors

METRICS = {  # of a card's metrics, those that tell a user something
    "psnr_range_db": "represents unseen images to {:.1f} dB",
    "relative_range_error": "represents unseen kernels to {:.1%}",
}


def uses_image_prior(method: Method) -> bool:
    """Return whether a method works with a pretrained generator of images."""
    return "image_prior" in method.settings.model_fields


def kernel_priors() -> list[Card]:
    """List the installed priors of kernels in two dimensions."""
    return [card for card in list_priors() if card.kind == "kernel" and len(card.size) == 2]


def limits(card: Card) -> str:
    """Describe a prior: size, representation error, training data and licence."""
    size = "x".join(map(str, card.size))
    fits = f"Kernels of {size} px" if card.kind == "kernel" else f"Images of {size_and_colour(card)}"
    return (
        f"{', '.join([fits, *metrics_of(card)])}.\n"
        f"Training data: {card.data}.\n"
        f"Licence: {card.license_weights}; of the data: {card.license_data}."
    )


def metrics_of(card: Card) -> list[str]:
    """List how well a prior represents unseen images or kernels, in words."""
    return [text.format(card.metrics[name]) for name, text in METRICS.items() if name in card.metrics]


def size_and_colour(card: Card) -> str:
    """Format size and colour of a prior's images: "64x64 px, colour"."""
    return f"{card.size[0]}x{card.size[1]} px, {'grey' if card.channels == 1 else 'colour'}"


def no_image_prior(shape: Sequence[int]) -> str:
    """Say why the list of image priors is empty, and what to do."""
    by_size: dict[str, list[str]] = {}
    for card in list_priors():
        if card.kind == "image":
            by_size.setdefault(size_and_colour(card), []).append(card.name)
    here = f"{shape[0]}x{shape[1]} px, {'colour' if len(shape) == 3 else 'grey'}"
    if not by_size:
        train = "The widget Train a prior, or `genprior train`, makes one."
        return f"No image prior is installed (this image: {here}). {train}"
    sizes = "; ".join(f"{size} ({', '.join(names)})" for size, names in by_size.items())
    return (
        f"No image prior fits {here}. There are priors for {sizes}. Crop or scale the image; for a larger image choose "
        "the method patches; or train a prior for this size (widget Train a prior, or `genprior train`)."
    )
