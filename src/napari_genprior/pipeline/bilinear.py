"""Any bilinear inverse problem ``y = A(k, x) + n`` with two generators as priors (Asim 2018): both unknowns at once.

How to write an operator of your own: docs/guide/other-problems.md.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arrays import cpu_generator
from ..core.errors import InputError
from ..core.iteration import map_states, run_to_end
from ..core.run_records import warn_renamed
from ..operators.bilinear import Bilinear
from ..optim.batched_lbfgs import LbfgsState, lbfgs
from ..zoo.projection import device_of
from ..zoo.store import Generator

MEMORY = 50  # pairs of L-BFGS: latents of unlike scales in one vector make long valleys
TOLERANCE = 1e-9  # of L-BFGS; an exact fit is followed to single precision

LatentPrior = Generator | nn.Module
"""A loaded prior, or a torch module of your own (float32, in evaluation mode) with an attribute ``latent: int`` that
maps latents ``[R, latent]``, standard normal, to ``[R, *shape]``."""


@dataclass(frozen=True)
class BilinearSolution:
    """The best of all restarts, so far or in the end.

    Attributes
    ----------
    image, kernel : float32 array
        ``x`` and ``k``, of the operator's ``image_shape`` and ``kernel_shape``.
    image_latent, kernel_latent : float32 array [latent]
        What the priors make them of.
    residuals : float array [restarts]
        ``|A(k, x) - y| / |y|`` of each restart; infinite where it is not defined.
    selected : int
        The restart of the least residual, whose estimate this is.
    steps : int
        Updates made.
    """

    image: np.ndarray
    kernel: np.ndarray
    image_latent: np.ndarray
    kernel_latent: np.ndarray
    residuals: np.ndarray
    selected: int
    steps: int

    @property
    def chosen(self) -> int:
        """Deprecated name of :attr:`selected`."""
        warn_renamed("solution.chosen", "solution.selected")
        return self.selected


def solve_bilinear(
    operator: Bilinear,
    data: Any,
    image_prior: LatentPrior,
    kernel_prior: LatentPrior,
    *,
    restarts: int = 10,
    ridge: float = 1e-4,
    steps: int = 500,
    seed: int = 0,
) -> BilinearSolution:
    """Find ``x = G(z)`` and ``k = B(h)`` from ``y = A(k, x) + n``: run :func:`iter_solve_bilinear` to its end.

    Parameters
    ----------
    operator : Bilinear
        ``A``; see :mod:`napari_genprior.operators.bilinear`.
    data : array
        ``y``, of the shape that the operator makes (without its leading axis R), in the priors' units: no scale is
        guessed, 8-bit images must be divided by 255.
    image_prior, kernel_prior : Generator or Module
        ``G`` and ``B``: from :func:`~napari_genprior.load_prior`, or your own; see :data:`LatentPrior`.
    restarts : int
        Random starts, searched side by side; that of the least residual wins.
    ridge : float
        Weight of ``|z|^2 + |h|^2``, in squared units of the data. The variance of one value's noise makes the answer
        the most probable one (the default: noise of 0.01); 0 leaves the ranges as the only prior.
    steps : int
        Largest number of L-BFGS updates.
    seed : int
        Of the starts. The same seed gives the same answer, bit for bit on the same CPU with as many threads.

    Returns
    -------
    BilinearSolution

    Raises
    ------
    InputError
        Shapes that do not fit each other, values that are not finite, or arguments out of bounds.

    Notes
    -----
    Minimised is ``|A(B(h), G(z)) - y|^2 + ridge (|z|^2 + |h|^2)`` (Asim 2018, eq. 7, where the two ridges are gamma
    and lambda), over both latents in one vector: L-BFGS in place of the paper's alternating gradient descent.

    Examples
    --------
    >>> import torch
    >>> import napari_genprior as gp
    >>> from napari_genprior.operators.bilinear import Convolution
    >>> operator = Convolution(kernel_shape=(28, 28), image_shape=(1, 28, 28), boundary="circular")
    >>> priors = gp.load_prior("digits-28-linear"), gp.load_prior("motion-28-linear")
    >>> image, kernel = (prior.decode(torch.zeros(1, prior.card.latent)) for prior in priors)
    >>> solution = gp.solve_bilinear(operator, operator(kernel, image)[0], *priors, restarts=2, steps=10)
    >>> solution.image.shape, solution.kernel.shape
    ((1, 28, 28), (1, 28, 28))
    """
    options = {"restarts": restarts, "steps": steps, "seed": seed}
    return run_to_end(iter_solve_bilinear(operator, data, image_prior, kernel_prior, ridge=ridge, **options))


def iter_solve_bilinear(
    operator: Bilinear,
    data: Any,
    image_prior: LatentPrior,
    kernel_prior: LatentPrior,
    *,
    restarts: int = 10,
    ridge: float = 1e-4,
    steps: int = 500,
    seed: int = 0,
) -> Yields[BilinearSolution, None, BilinearSolution]:
    """:func:`solve_bilinear` as a generator: yields the best so far after each update; close it to cancel.

    All is checked when the first value is asked for.
    """
    if restarts < 1 or steps < 1 or not 0 <= ridge < float("inf"):
        raise InputError(
            f"restarts and steps must be 1 or more and ridge finite and >= 0; got {restarts}, {steps} and {ridge}."
        )
    image_net, image_latent = _network(image_prior, "image_prior")
    kernel_net, kernel_latent = _network(kernel_prior, "kernel_prior")
    device = device_of(image_net)
    measured = _measured(data, device)
    power = measured.square().sum()  # relative misfits, so that one tolerance suits data of every scale

    def decode(latents: Tensor) -> tuple[Tensor, Tensor]:
        z, h = latents.split([image_latent, kernel_latent], dim=1)
        return image_net(z), kernel_net(h)

    def misfit(image: Tensor, kernel: Tensor) -> Tensor:
        return (operator(kernel, image) - measured).flatten(1).square().sum(1) / power

    def objective(latents: Tensor, rows: Tensor) -> Tensor:
        return misfit(*decode(latents)) + ridge / power * latents.square().sum(1)

    @torch.no_grad()
    def best_of(state: LbfgsState) -> BilinearSolution:
        image, kernel = decode(state.x)
        residuals = misfit(image, kernel).sqrt().nan_to_num(nan=float("inf"))
        selected = int(residuals.argmin())
        z, h = state.x[selected].split([image_latent, kernel_latent])
        return BilinearSolution(
            image=_numpy(image[selected]),
            kernel=_numpy(kernel[selected]),
            image_latent=_numpy(z),
            kernel_latent=_numpy(h),
            residuals=_numpy(residuals),
            selected=selected,
            steps=state.step,
        )

    start = torch.randn(restarts, image_latent + kernel_latent, generator=cpu_generator(seed)).to(device)
    with torch.no_grad():
        _check_fit(operator, *decode(start), measured)
    search = lbfgs(objective, start, steps=steps, memory=MEMORY, tolerance=TOLERANCE)
    return best_of((yield from map_states(search, best_of)))


def _network(prior: LatentPrior, name: str) -> tuple[nn.Module, int]:
    """The module of a prior and the length of its latent vector."""
    if isinstance(prior, Generator):
        return prior.net, prior.card.latent
    latent = getattr(prior, "latent", None)
    if not isinstance(prior, nn.Module) or not isinstance(latent, int):
        raise InputError(
            f"{name} must be a loaded prior (gp.load_prior) or a torch module with an attribute latent, the length "
            f"of its latent vector; got {type(prior).__name__}."
        )
    return prior, latent


def _measured(data: Any, device: torch.device) -> Tensor:
    """The data as a tensor ``[1, ...]``."""
    array = data.detach().cpu().numpy() if isinstance(data, Tensor) else np.asarray(data)
    if array.dtype.kind not in "uif":
        raise InputError(f"The data have type {array.dtype}; integers or floats are needed.")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"The data hold {bad} NaN or infinite values; replace them first.")
    if not array.any():
        raise InputError("The data are zero everywhere; there is nothing to explain.")
    return torch.from_numpy(np.array(array[None], dtype=np.float32)).to(device)


def _check_fit(operator: Bilinear, image: Tensor, kernel: Tensor, measured: Tensor) -> None:
    """Refuse priors and data of other shapes than the operator's, and what is defined at no start."""
    for name, decoded, needed in (
        ("image_prior", image, operator.image_shape),
        ("kernel_prior", kernel, operator.kernel_shape),
    ):
        if decoded.shape[1:] != needed:
            raise InputError(f"{name} decodes to {_shape(decoded)}; the operator needs {needed}.")
    model = operator(kernel, image)
    if len(model) != len(image):
        raise InputError(f"The operator makes {len(model)} data sets of {len(image)}; it must keep the first axis.")
    if model.shape[1:] != measured.shape[1:]:
        raise InputError(f"The data have shape {_shape(measured)}; the operator makes {_shape(model)} of these priors.")
    if not torch.isfinite(model).flatten(1).all(1).any():
        raise InputError("The operator makes NaN or infinite values at every start; look at it and at the priors.")


def _shape(batch: Tensor) -> tuple[int, ...]:
    return tuple(batch.shape[1:])


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
