"""Camera noise: read-out noise (Gaussian) and photon noise (Poisson)."""

from __future__ import annotations

import numpy as np


def add_noise(image: np.ndarray, gaussian: float, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise to an image in working units (its range is about [0, 1]).

    Parameters
    ----------
    image : float array, any shape
    gaussian : float
        Standard deviation of the Gaussian noise, as a fraction of the range; 0: no Gaussian noise.
    photons : float
        Number of photons at value 1 for the Poisson noise, which is drawn first; 0: no Poisson noise.
    rng : numpy Generator

    Returns
    -------
    float64 array, same shape
    """
    noisy = np.asarray(image, np.float64)
    if photons > 0:
        noisy = rng.poisson(np.clip(noisy, 0, None) * photons) / photons
    if gaussian > 0:
        noisy = noisy + gaussian * rng.standard_normal(noisy.shape)
    return noisy
