"""Motion blur: straight lines and camera-shake trajectories.

Every kernel is a path of equal times, drawn into pixels with bilinear weights: the centre of mass
of the kernel is then exactly that of the path, which is put on the centre of the array.
"""

from __future__ import annotations

import numpy as np

from ..core.checks import check_kernel
from ..core.errors import InputError

SAMPLES = 2000  # points of a path; far more than pixels, so that the drawn line is smooth
JERKS_PER_PATH = 0.15  # mean number of sudden turns


def motion(length: float, angle_deg: float = 0.0, size: int | None = None) -> np.ndarray:
    """Make the kernel of straight motion at constant speed.

    Parameters
    ----------
    length : float
        Extent in pixels, the pixel's own width included: 1 is no blur.
    angle_deg : float
        Direction, counter-clockwise from the x axis.
    size : int, optional
        Side of the kernel; by default the smallest odd one that holds the line.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1, its centre of mass on the centre of the array.

    Raises
    ------
    InputError
        ``length`` is less than 1 pixel.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> kernel = gp.blur.motion(length=15, angle_deg=30)
    >>> bool(kernel.min() >= 0), round(float(kernel.sum()), 5)
    (True, 1.0)
    """
    if not length >= 1:
        raise InputError(f"motion needs length >= 1 pixel; got {length}.")
    angle = np.deg2rad(angle_deg)
    along = np.linspace(-0.5, 0.5, SAMPLES) * (length - 1)
    return draw_path(-along * np.sin(angle), along * np.cos(angle), size)


def shake(length: float, seed: int | np.random.Generator, size: int | None = None) -> np.ndarray:
    """Make the kernel of camera shake: a random trajectory of ``length`` pixels.

    Parameters
    ----------
    length : float
        Length of the path in pixels (5 to 28 in Asim 2020).
    seed : int or numpy Generator
        Equal seeds give equal kernels.
    size : int, optional
        Side of the kernel; by default the smallest odd one that holds the path. A path too long
        for a given size is scaled down to fit.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1, its centre of mass on the centre of the array.

    Raises
    ------
    InputError
        ``length`` is less than 1 pixel.

    Notes
    -----
    A particle of constant speed whose velocity is changed by a centripetal force (as a hand corrects itself), a
    Gaussian perturbation, and rare jerks that reverse it. The strengths are drawn anew for each
    path and are stated per path, not per sample; they were set so that the kernels look like those of
    Asim 2020, figure 4: nearly straight lines, hooks and arcs, a few with sharp corners.

    References
    ----------
    G. Boracchi, A. Foi, "Modeling the performance of image restoration from motion blur",
    IEEE Trans. Image Processing 21(8), 2012, section on motion trajectories.

    Examples
    --------
    >>> import napari_genprior as gp
    >>> gp.blur.shake(15, seed=0).shape
    (15, 15)
    """
    if not length >= 1:
        raise InputError(f"shake needs length >= 1 pixel; got {length}.")
    rng = np.random.default_rng(seed)
    centripetal, perturbation = 20 * rng.random() ** 2, 0.8 * rng.random()
    jerks = rng.random(SAMPLES) < JERKS_PER_PATH / SAMPLES
    turns = np.exp(1j * (np.pi + rng.random(SAMPLES) - 0.5))
    normals = rng.standard_normal((SAMPLES, 2)) @ np.array([1, 1j]) / np.sqrt(SAMPLES)
    velocity, position = complex(np.exp(2j * np.pi * rng.random())), 0j
    path = [position]  # in units of its own length
    for normal, jerk, turn in zip(normals.tolist()[1:], jerks.tolist()[1:], turns.tolist()[1:], strict=True):
        velocity += perturbation * normal - centripetal * position / SAMPLES
        if jerk:
            velocity += 2 * velocity * turn
        velocity /= abs(velocity)
        position += velocity / (SAMPLES - 1)
        path.append(position)
    drawn = np.array(path) * (length - 1)
    return draw_path(drawn.imag, drawn.real, size)


def draw_path(y: np.ndarray, x: np.ndarray, size: int | None = None) -> np.ndarray:
    """Draw a path of equal times (offsets in pixels) as a kernel whose centre of mass is the array's centre.

    Parameters
    ----------
    y, x : float arrays [T]
    size : int, optional
        Side; by default the smallest odd one that holds the centred path. A path too large is scaled down.

    Returns
    -------
    float32 array [size, size]
        >= 0, sum 1.
    """
    y, x = y - y.mean(), x - x.mean()
    reach = max(abs(y).max(), abs(x).max())
    if size is None:
        size = 2 * int(np.ceil(reach - 1e-9)) + 1
    if size < 1:
        raise InputError(f"A kernel needs a size of at least 1 pixel; got {size}.")
    middle = (size - 1) / 2
    if reach > middle:
        y, x = y * middle / reach, x * middle / reach
    kernel = np.zeros((size + 1, size + 1))  # one spare row and column for the weight-zero neighbours at the edge
    y, x = y + middle, x + middle
    # Rounding first keeps a path on whole pixels there: without it, 1e-16 leaks to the neighbours.
    top, left = np.floor(y.round(9)).astype(int), np.floor(x.round(9)).astype(int)
    dy, dx = y - top, x - left
    for row, weight_y in ((top, 1 - dy), (top + 1, dy)):
        for column, weight_x in ((left, 1 - dx), (left + 1, dx)):
            np.add.at(kernel, (row, column), np.clip(weight_y * weight_x, 0, None))
    return check_kernel(kernel[:size, :size])
