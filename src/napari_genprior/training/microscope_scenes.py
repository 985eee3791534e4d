"""Simulate sharp images as fluorescence microscopes see them: cells, filaments, spots."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

RESOLUTION_PX = (0.5, 1.6)  # standard deviation of the point spread function
MAX_BACKGROUND = 0.2  # fraction of the brightest value


def microscope_scene(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a scene of one or two kinds of structures, uint8 ``[side, side]``.

    Parameters
    ----------
    side : int
        In pixels.
    rng : numpy Generator
    """
    draws = (_cells, _filaments, _spots)
    kinds = rng.choice(len(draws), size=rng.integers(1, 3), replace=False)
    scene = sum(rng.uniform(0.3, 1) * draws[kind](side, rng) for kind in kinds)
    scene = gaussian_filter(scene, rng.uniform(*RESOLUTION_PX), mode="nearest")
    scene = scene / max(float(np.quantile(scene, 0.999)), 1e-6)
    background = rng.uniform(0, MAX_BACKGROUND)
    return np.rint(255 * np.clip(background + (1 - background) * scene, 0, 1)).astype(np.uint8)


def _cells(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ellipses with a texture and a soft outline that is not quite regular."""
    rows, columns = np.indices((side, side), dtype=np.float32)
    scene = np.zeros((side, side), np.float32)
    radius = rng.uniform(5, 30)
    texture = gaussian_filter(rng.normal(size=scene.shape), rng.uniform(0.7, 4))
    texture = np.exp(rng.uniform(0.05, 0.6) * texture / texture.std())
    warp = gaussian_filter(rng.normal(size=scene.shape), radius / 2)
    warp *= rng.uniform(0, 0.15) / warp.std()
    for _ in range(int(rng.uniform(0.1, 0.7) * side**2 / (np.pi * radius**2)) + 1):
        y, x = rng.uniform(0, side, 2)
        a, b = radius * rng.uniform(0.6, 1.4, 2)
        angle = rng.uniform(0, np.pi)
        along = (rows - y) * np.sin(angle) + (columns - x) * np.cos(angle)
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        distance = (1 + warp - np.hypot(along / a, across / b)) * min(a, b)  # in pixels, > 0 inside
        body = np.clip(distance + 0.5, 0, 1) * (1 + rng.uniform(0, 1.5) * np.exp(-((distance / 2) ** 2)))
        scene = np.maximum(scene, rng.uniform(0.3, 1) * body)
    return scene * texture


def _filaments(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw curved lines: random walks whose direction changes slowly."""
    scene = np.zeros((side, side), np.float32)
    curvature = rng.uniform(0.005, 0.06)
    for _ in range(rng.integers(5, 60)):
        count = rng.integers(side // 2, 4 * side)
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(curvature * rng.normal(size=count))
        points = rng.uniform(0, side, (2, 1)) + np.cumsum(0.5 * np.stack([np.sin(angles), np.cos(angles)]), 1)
        points = points[:, ((points >= 0) & (points < side - 1)).all(0)]
        _deposit(scene, points, np.full(points.shape[1], 0.5 * rng.uniform(0.3, 1)))
    return scene


def _spots(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points of very different brightness, evenly spread or in clusters."""
    scene = np.zeros((side, side), np.float32)
    count = int(np.exp(rng.uniform(np.log(10), np.log(side**2 / 20))))
    points = rng.uniform(0, side - 1.01, (2, count))
    if rng.random() < 0.5:
        density = gaussian_filter(rng.normal(size=scene.shape), rng.uniform(4, 20))
        points = points[:, map_coordinates(density, points, order=1) > 0]
    _deposit(scene, points, rng.exponential(size=(points.shape[1],)))
    return scene / max(float(scene.max()), 1e-6)


def _deposit(scene: np.ndarray, points: np.ndarray, values: np.ndarray) -> None:
    """Add values at fractional positions ``[2, N]``, each shared by the four pixels around it."""
    low = np.floor(points).astype(int)
    part = points - low
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - part[0]) * np.abs(1 - right - part[1])
            np.add.at(scene, (low[0] + down, low[1] + right), values * weight)
