"""Classical penalties on images and kernels, one value per restart."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def total_variation(image: Tensor, isotropic: bool = True, epsilon: float = 1e-6) -> Tensor:
    """Compute the total variation of ``[R, C, Y, X]``, averaged over channels and pixels: ``[R]``.

    Parameters
    ----------
    isotropic : bool
        Use ``sqrt(dx^2 + dy^2)`` per pixel, which treats all directions alike, else ``|dx| + |dy|``.
    epsilon : float
        Differences below this are smoothed (``sqrt(d^2 + epsilon^2) - epsilon``), so that the gradient exists at 0.

    Notes
    -----
    Forward differences, which are 0 at the last row and column.
    """
    down = pad(image.diff(dim=-2), (0, 0, 0, 1))
    right = pad(image.diff(dim=-1), (0, 1))
    if isotropic:
        size = (down.square() + right.square() + epsilon**2).sqrt() - epsilon
    else:
        size = (down.square() + epsilon**2).sqrt() + (right.square() + epsilon**2).sqrt() - 2 * epsilon
    return size.flatten(1).mean(1)


def kernel_energy(kernel: Tensor) -> Tensor:
    """Compute ``|k|^2``, summed over the kernel ``[R, 1, kh, kw]``: ``[R]``.

    In [1 / (kh kw), 1] for a kernel with sum 1; largest for a single point, so that it penalizes the solution
    without blur (Kotera et al., ICIP 2021, eq. 9).
    """
    return kernel.square().flatten(1).sum(1)
