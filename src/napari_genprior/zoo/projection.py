"""Project images onto the range of a generator (eq. 13 of Asim 2020)."""

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

LBFGS_MEMORY = 50  # with 15, blur kernels have a 15% larger error after 300 steps
CHUNK = 128  # optimizations that run side by side
SMALLEST_VARIANCE = 1e-10  # of a principal component relative to the largest; a smaller one is a rounding error


@dataclass(frozen=True)
class Projection:
    """The closest images in the range of a generator, the result of :func:`project`.

    Attributes
    ----------
    images : float32 array
        Shape of the given images, values in the generator's output range.
    latents : Tensor [N, latent]
        Latents that decode to ``images``.
    errors : float32 array [N]
        Relative representation errors ``|G(z) - x| / |x|``.
    """

    images: np.ndarray
    latents: Tensor
    errors: np.ndarray


def project(card: Card, net: Any, images: Any, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Projection:
    """Find ``argmin_z |G(z) - x|^2`` for each image x.

    Parameters
    ----------
    card : Card
    net : Module
        The generator, which maps latents ``[R, latent]`` to ``[R, C, Y, X]``.
    images : array or Tensor [N, Y, X] or [N, Y, X, C]
        One image or more, of the generator's size and channels: uint8 (255 is 1), otherwise in the output range.
        Volumes: [N, Z, Y, X].
    restarts : int
        Random initial latents in addition to those of the encoder; a generator without encoder has one more. Not used
        by linear generators, for which least squares is the solution or the only initial value.
    steps : int
        Largest number of L-BFGS updates of each restart.
    seed : int
        Seed of the random initial latents.

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        The images have another size, other channels or values that are not finite, or a count is out of range.
    """
    if restarts < 0 or steps < 1:
        raise InputError(f"project needs restarts >= 0 and steps >= 1; got {restarts} and {steps}.")
    device = device_of(net)
    targets = _channels_first(card, images).to(device)
    latents = closest_latents(net, targets, restarts=restarts, steps=steps, seed=seed)
    with torch.no_grad():
        decoded = torch.cat([net(z) for z in latents.split(CHUNK)])
    errors = (decoded - targets).flatten(1).norm(dim=1) / targets.flatten(1).norm(dim=1).clamp(min=1e-12)
    values = decoded.cpu().numpy()
    values = values[:, 0] if np.ndim(images) == len(card.size) + 1 else np.moveaxis(values, 1, -1)
    return Projection(np.ascontiguousarray(values), latents, errors.cpu().numpy())


def closest_latents(net: Any, targets: Tensor, *, restarts: int = 1, steps: int = 300, seed: int = 0) -> Tensor:
    """Find the latents ``[N, latent]`` of :func:`project` for ``targets`` [N, C, Y, X] in the output range."""
    random = cpu_generator(seed)
    latents = []
    for part in targets.split(max(1, CHUNK // (restarts + 1))):
        initial = _initial_latents(net, part, restarts, random)
        latents.append(initial[:, 0] if _is_affine(net) else _minimize(net, part, initial, steps))
    return torch.cat(latents)


def device_of(net: Any) -> torch.device:
    """Return the device of a generator's weights."""
    return next((tensor.device for tensor in net.state_dict().values()), torch.device("cpu"))


def _channels_first(card: Card, images: Any) -> Tensor:
    """Check images and convert them to float32 ``[N, C, Y, X]``."""
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    sides = " x ".join(map(str, card.size))
    colours = f" x {card.channels}" if card.channels > 1 else ""
    plain = card.channels == 1 and array.shape[1:] == tuple(card.size)
    if not (plain or array.shape[1:] == (*card.size, card.channels)) or not len(array) or array.dtype.kind not in "uif":
        raise InputError(
            f"{card.name} has images [N x {sides}{colours}]; got shape {array.shape} of {array.dtype}. "
            "Scale or crop them to fit."
        )
    scaled = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if not np.isfinite(scaled).all():
        raise InputError("The images hold NaN or infinite values; all must be finite.")
    return torch.from_numpy(np.ascontiguousarray(scaled[:, None] if plain else np.moveaxis(scaled, -1, 1)))


def _is_affine(net: Any) -> bool:
    """Tell whether the range is an affine subspace, so that least squares is the solution."""
    return isinstance(net, LinearGenerator) and net.refiner is None and not net.kernel


@torch.no_grad()
def _initial_latents(net: Any, x: Tensor, restarts: int, random: torch.Generator) -> Tensor:
    """Compute initial latents ``[N, restarts, latent]``."""
    if isinstance(net, LinearGenerator):
        return _least_squares(net, x)[:, None]
    drawn = torch.randn(len(x), restarts + 1, net.latent, generator=random).to(x)
    if getattr(net, "encoder", None) is not None:
        drawn[:, 0] = net.encode(x)[0]
    return drawn


def _least_squares(net: LinearGenerator, x: Tensor) -> Tensor:
    """Solve ``z = (b b')^+ b (x - mean)``; components of zero variance get 0."""
    gram = (net.basis @ net.basis.T).double()
    inverse = torch.linalg.pinv(gram, rtol=SMALLEST_VARIANCE, hermitian=True)
    return (inverse @ (net.basis @ (x.flatten(1) - net.mean).T).double()).T.float()


def _minimize(net: Any, x: Tensor, initial: Tensor, steps: int) -> Tensor:
    """Minimize the distance from all initial latents and return the best of each image, ``[N, latent]``."""
    count, each, latent = initial.shape
    power = x.flatten(1).square().sum(1).clamp(min=1e-12)  # errors are relative, as kernels have small values

    def objective(z: Tensor, rows: Tensor) -> Tensor:
        image = rows // each
        return (net(z) - x[image]).flatten(1).square().sum(1) / power[image]

    end = run_to_end(lbfgs(objective, initial.reshape(count * each, latent), steps=steps, memory=LBFGS_MEMORY))
    best = end.values.view(count, each).argmin(1)
    return end.x.view(count, each, latent)[torch.arange(count, device=x.device), best]
