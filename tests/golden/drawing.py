"""Draw the kernels and sharp images of the golden cases, seeded."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage


def motion(length: float, angle_deg: float, side: int) -> np.ndarray:
    """Draw a straight motion kernel with soft edges."""
    y, x = np.mgrid[:side, :side] - side // 2
    along = x * np.cos(np.deg2rad(angle_deg)) - y * np.sin(np.deg2rad(angle_deg))
    across = x * np.sin(np.deg2rad(angle_deg)) + y * np.cos(np.deg2rad(angle_deg))
    kernel = np.clip(length / 2 + 0.5 - abs(along), 0, 1) * np.clip(1 - abs(across), 0, 1)
    return kernel / kernel.sum()


def shake(side: int, seed: int) -> np.ndarray:
    """Draw the kernel of a camera shake: a smooth random path with no symmetry, centred by its mass."""
    rng = np.random.default_rng(seed)
    path = ndimage.gaussian_filter1d(rng.standard_normal((2, 400)).cumsum(1), 25, axis=1)
    path = path - path.mean(1, keepdims=True)
    path *= 0.36 * side / abs(path).max()
    kernel = np.zeros((side, side))
    for y, x in (path + side // 2).T:
        top, left = int(y), int(x)
        rest_y, rest_x = y - top, x - left
        kernel[top : top + 2, left : left + 2] += np.outer((1 - rest_y, rest_y), (1 - rest_x, rest_x))
    return kernel / kernel.sum()


def gaussian(sides: tuple[int, ...], sigmas: tuple[float, ...]) -> np.ndarray:
    """Make a Gaussian kernel in any number of dimensions."""
    kernel = np.ones(())
    for side, sigma in zip(sides, sigmas, strict=True):
        kernel = kernel[..., None] * np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    return kernel / kernel.sum()


def blocks(height: int, width: int, seed: int) -> np.ndarray:
    """Draw overlapping rectangles and disks of random grey: edges in all directions, values in [0.05, 0.95]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width), 0.5)
    for number in range(height * width // 250):
        top, left, side = rng.uniform(-10, height), rng.uniform(-10, width), rng.uniform(6, 28)
        box = (abs(y - top) < side / 2) & (abs(x - left) < rng.uniform(3, 14))
        image[box if number % 2 else np.hypot(y - top, x - left) < side / 2] = rng.uniform(0.05, 0.95)
    return image


def lamps(height: int, width: int, seed: int) -> np.ndarray:
    """Draw a dim scene with lamps of up to five times the camera's range."""
    rng = np.random.default_rng(seed)
    image = 0.7 * blocks(height, width, seed)
    for _ in range(height * width // 900):
        top, left, side = int(rng.uniform(0, height - 4)), int(rng.uniform(0, width - 4)), int(rng.integers(2, 5))
        image[top : top + side, left : left + side] = rng.uniform(2, 5)
    return image


def cells(height: int, width: int, seed: int) -> np.ndarray:
    """Draw soft bright ellipses on a dark ground, as nuclei under a microscope are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width), 0.05)
    for _ in range(height * width // 400):
        top, left, tall, wide = rng.uniform(0, height), rng.uniform(0, width), *rng.uniform(4, 9, 2)
        image[((y - top) / tall) ** 2 + ((x - left) / wide) ** 2 < 1] = rng.uniform(0.4, 1)
    return ndimage.gaussian_filter(image, 0.8)


def mirrored(image: np.ndarray) -> np.ndarray:
    """Put an image beside its mirror images, so that the whole goes on seamlessly at its other side."""
    return np.block([[image, image[:, ::-1]], [image[::-1], image[::-1, ::-1]]])


def digit(side: int) -> np.ndarray:
    """Draw a seven as the handwritten digits are: white strokes on black."""
    corners = np.array([[0.25, 0.28], [0.25, 0.70], [0.50, 0.55], [0.80, 0.42]]) * side
    y, x = np.mgrid[:side, :side] + 0.5
    image = np.zeros((side, side))
    for (y0, x0), (y1, x1) in pairwise(corners):
        share = ((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / ((y1 - y0) ** 2 + (x1 - x0) ** 2)
        share = share.clip(0, 1)
        away = np.hypot(y - y0 - share * (y1 - y0), x - x0 - share * (x1 - x0))
        image = np.maximum(image, np.clip(side / 14 - away, 0, 1))
    return image


def house_number(side: int) -> np.ndarray:
    """Draw a bright seven on a blue ground, [Y, X, 3]."""
    stroke = ndimage.gaussian_filter(digit(side), 0.7)[..., None]
    return stroke * np.array([0.85, 0.82, 0.7]) + (1 - stroke) * np.array([0.2, 0.3, 0.5])


def boxes(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Fill a volume with bright boxes on a dim ground."""
    rng, volume = np.random.default_rng(seed), np.full(shape, 0.05)
    for _ in range(int(np.prod(shape)) // 700):
        corner, sides = (rng.uniform(0, 1, 3) * shape).astype(int), rng.integers(2, 8, 3)
        volume[tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))] = rng.uniform(
            0.3, 1
        )
    return volume


SHAKE, LONG_SHAKE = shake(13, 4), shake(23, 8)
LINE = motion(9, 30, 13)
POINT = np.pad([[1.0]], 1)
