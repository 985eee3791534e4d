"""The range of a generator: which of its images is closest to a given one (eq. 13 of Asim 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..core.iteration import run_to_end
from ..nets.linear_gaussian import LinearGenerator
from ..optim.batched_lbfgs import lbfgs

if TYPE_CHECKING:
    from .card import Card

MEMORY = 50  # of L-BFGS; 15 leaves blur kernels 15% further away after 300 steps
CHUNK = 128  # searches that go side by side
SMALLEST_VARIANCE = 1e-10  # of a principal component relative to the largest; below it is rounding


@dataclass(frozen=True)
class Projection:
    """Images of the range, each the closest that was found.

    Attributes
    ----------
    images : float32 array
        Shape of the given ones, in the generator's output range.
    latents : Tensor [N, latent]
        What ``decode`` makes them of.
    errors : float32 array [N]
        ``|G(z) - x| / |x|``.
    """

    images: np.ndarray
    latents: Tensor
    errors: np.ndarray


def project(card: Card, net: Any, images: Any, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Projection:
    """``argmin_z |G(z) - x|^2`` for each image x.

    Parameters
    ----------
    card : Card
    net : Module
        Latents ``[R, latent]`` to ``[R, C, Y, X]``.
    images : array or Tensor [N, Y, X] or [N, Y, X, C]
        Of the generator's size and colours, at least one. uint8 (255 stands for 1), else in the output range. Kernels
        of volumes: [N, Z, Y, X].
    restarts : int
        Random starts beside the encoder's; those of a generator without encoder are one more. Linear generators need
        none: least squares is the answer or the one start.
    steps : int
        Largest number of L-BFGS updates of each start.
    seed : int
        Of the random starts.

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        Images of another size, other colours or values that are not finite, or counts out of bounds.
    """
    if restarts < 0 or steps < 1:
        raise InputError(f"project needs restarts >= 0 and steps >= 1; got {restarts} and {steps}.")
    device = device_of(net)
    given = _planes(card, images)
    targets = given.to(device)
    latents = closest_latents(net, targets, restarts=restarts, steps=steps, seed=seed)
    with torch.no_grad():
        decoded = torch.cat([net(z) for z in latents.split(CHUNK)])
    errors = (decoded - targets).flatten(1).norm(dim=1) / targets.flatten(1).norm(dim=1).clamp(min=1e-12)
    values = decoded.cpu().numpy()
    values = values[:, 0] if np.ndim(images) == len(card.size) + 1 else np.moveaxis(values, 1, -1)
    return Projection(np.ascontiguousarray(values), latents, errors.cpu().numpy())


def closest_latents(net: Any, targets: Tensor, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Tensor:
    """What :func:`project` finds, ``[N, latent]``, for ``targets`` [N, C, Y, X] in the output range."""
    random = cpu_generator(seed)
    found = []
    for part in targets.split(max(1, CHUNK // (restarts + 1))):
        starts = _starts(net, part, restarts, random)
        found.append(starts[:, 0] if _exact(net) else _closest(net, part, starts, steps))
    return torch.cat(found)


def device_of(net: Any) -> torch.device:
    """Where a generator's weights lie."""
    return next((tensor.device for tensor in net.state_dict().values()), torch.device("cpu"))


def _planes(card: Card, images: Any) -> Tensor:
    """The given images as float32 ``[N, C, Y, X]``."""
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    sides = " x ".join(map(str, card.size))
    colours = f" x {card.channels}" if card.channels > 1 else ""
    plain = card.channels == 1 and array.shape[1:] == tuple(card.size)
    if not (plain or array.shape[1:] == (*card.size, card.channels)) or not len(array) or array.dtype.kind not in "uif":
        raise InputError(
            f"{card.name} has images [N x {sides}{colours}]; got shape {array.shape} of {array.dtype}. "
            "Scale or cut them to fit."
        )
    scaled = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if not np.isfinite(scaled).all():
        raise InputError("The images hold NaN or infinite values; all must be finite.")
    return torch.from_numpy(np.ascontiguousarray(scaled[:, None] if plain else np.moveaxis(scaled, -1, 1)))


def _exact(net: Any) -> bool:
    """Whether least squares is the answer: the range is a plane."""
    return isinstance(net, LinearGenerator) and net.refiner is None and not net.kernel


@torch.no_grad()
def _starts(net: Any, x: Tensor, restarts: int, random: torch.Generator) -> Tensor:
    """Latents ``[N, starts, latent]`` to search from."""
    if isinstance(net, LinearGenerator):
        return _least_squares(net, x)[:, None]
    drawn = torch.randn(len(x), restarts + 1, net.latent, generator=random).to(x)
    if getattr(net, "encoder", None) is not None:
        drawn[:, 0] = net.encode(x)[0]
    return drawn


def _least_squares(net: LinearGenerator, x: Tensor) -> Tensor:
    """``z = (b b')^+ b (x - mean)``; components that carry nothing get 0."""
    gram = (net.basis @ net.basis.T).double()
    inverse = torch.linalg.pinv(gram, rtol=SMALLEST_VARIANCE, hermitian=True)
    return (inverse @ (net.basis @ (x.flatten(1) - net.mean).T).double()).T.float()


def _closest(net: Any, x: Tensor, starts: Tensor, steps: int) -> Tensor:
    """The best of all searches, ``[N, latent]``."""
    count, each, latent = starts.shape
    power = x.flatten(1).square().sum(1).clamp(min=1e-12)  # relative: kernels are small numbers

    def objective(z: Tensor, rows: Tensor) -> Tensor:
        image = rows // each
        return (net(z) - x[image]).flatten(1).square().sum(1) / power[image]

    found = run_to_end(lbfgs(objective, starts.reshape(count * each, latent), steps=steps, memory=MEMORY))
    chosen = found.values.view(count, each).argmin(1)
    return found.x.view(count, each, latent)[torch.arange(count, device=x.device), chosen]
