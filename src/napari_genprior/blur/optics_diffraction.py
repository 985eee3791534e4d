"""Compute the vectorial point spread function of an objective as radial profiles.

A fluorophore lies at some depth in a sample below a coverslip, and light is collected through coverslip and immersion.
Over the pupil angle theta, with Fresnel transmission t_s, t_p of the layers and the phase W of Gibson and Lanni [2]_::

    I0 = int sqrt(cos) sin (t_s + t_p cos_sample) J0(k n sin r) exp(i k W) dtheta
    I1 = int sqrt(cos) sin  t_p sin_sample        J1(k n sin r) exp(i k W) dtheta
    I2 = int sqrt(cos) sin (t_s - t_p cos_sample) J2(k n sin r) exp(i k W) dtheta

A fluorophore that turns freely has the intensity ``|I0|^2 + 2 |I1|^2 + |I2|^2`` [1]_ [4]_. By reciprocity it is the
field of a focused beam, with the transmission from immersion to sample [3]_. Objective and coverslip are as designed,
so of the phase only sample and refocusing remain: ``W = depth n_sample cos_sample - focus n cos``.

References
----------
.. [1] B. Richards, E. Wolf, "Electromagnetic diffraction in optical systems II", Proc. R. Soc. A 253, 1959.
.. [2] S. F. Gibson, F. Lanni, "Experimental test of an analytical model of aberration in an oil-immersion objective
   lens used in three-dimensional light microscopy", JOSA A 9(1), 1992.
.. [3] P. Torok, P. Varga, "Electromagnetic diffraction of light focused through a stratified medium", Applied Optics
   36(11), 1997.
.. [4] F. Aguet et al., "Super-resolution orientation estimation and localization of fluorescent dipoles using 3-D
   steerable filters", Optics Express 17(8), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import j0, j1

COVERSLIP_INDEX = 1.515
NODES_PER_RADIAN = 0.6  # of the Gauss-Legendre rule, for the largest difference of phase over the pupil
LEAST_NODES = 48
BLOCK = 1024  # radii that are computed at once, which bounds the memory


@dataclass(frozen=True)
class Objective:
    """An objective and the point that it images: what diffraction depends on.

    Attributes
    ----------
    na : float
        Numerical aperture, below ``immersion_index``.
    immersion_index, sample_index : float
    depth_um : float
        Depth of the point below the coverslip.
    """

    na: float
    immersion_index: float
    sample_index: float
    depth_um: float


def radial_profiles(
    objective: Objective, wavelength_um: float, radius_um: np.ndarray, focus_um: np.ndarray
) -> np.ndarray:
    """Compute the intensity ``[focus, radius]`` around the optical axis.

    Parameters
    ----------
    objective : Objective
    wavelength_um : float
        In vacuum.
    radius_um : array [radius]
        Distances from the axis, >= 0.
    focus_um : array [focus]
        Nominal position of the focus below the coverslip: by how far the stage has moved.

    Returns
    -------
    float64 array [focus, radius]
        Per um^2; over a whole plane it integrates to 1, in every plane.
    """
    k = 2 * np.pi / wavelength_um
    alpha = np.arcsin(objective.na / objective.immersion_index)
    reach = np.abs(focus_um - objective.depth_um).max() + objective.depth_um
    phase = k * (objective.na * radius_um.max() + objective.immersion_index * reach * (1 - np.cos(alpha)))
    theta, weight = _nodes(objective, alpha, LEAST_NODES + int(NODES_PER_RADIAN * phase))
    pupils, frequency = _pupils(objective, k, theta), k * objective.immersion_index * np.sin(theta)
    # Parseval for the Hankel transform: the light in a plane, which no phase changes
    squares = np.abs(pupils[0]) ** 2 + 2 * np.abs(pupils[1]) ** 2 + np.abs(pupils[2]) ** 2
    slope = k * objective.immersion_index * np.cos(theta)
    light = 2 * np.pi * (weight * squares / (frequency * slope)).sum()
    refocus = np.exp(-1j * k * objective.immersion_index * np.outer(focus_um, np.cos(theta)))
    amplitudes = [refocus * (weight * pupil) for pupil in pupils]
    stacked = [np.concatenate([each.real, each.imag]) for each in amplitudes]  # real products are twice as fast
    blocks = [radius_um[start : start + BLOCK] for start in range(0, len(radius_um), BLOCK)]
    return np.concatenate([_intensity(stacked, np.outer(frequency, block)) for block in blocks], axis=1) / light


def _nodes(objective: Objective, alpha: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pupil angles and weights of a Gauss-Legendre rule, in two parts where the sample reflects totally."""
    ends = [0.0, alpha]
    if objective.sample_index < objective.na:
        ends.insert(1, float(np.arcsin(objective.sample_index / objective.immersion_index)))
    x, w = np.polynomial.legendre.leggauss(count)
    parts = [(low + (high - low) * (x + 1) / 2, (high - low) * w / 2) for low, high in pairwise(ends)]
    theta, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    return theta, weight


def _pupils(objective: Objective, k: float, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the integrands of the three radial integrals at the angles, without Bessel functions and refocusing."""
    transverse = objective.immersion_index * np.sin(theta)  # the same in all layers
    indices = (objective.immersion_index, COVERSLIP_INDEX, objective.sample_index)
    cosines = [np.sqrt(1 - (transverse / index) ** 2 + 0j) for index in indices]  # imaginary: an evanescent wave
    s, p = np.ones_like(cosines[0]), np.ones_like(cosines[0])
    for layer in (0, 1):
        n, cosine, m, after = indices[layer], cosines[layer], indices[layer + 1], cosines[layer + 1]
        s = s * 2 * n * cosine / (n * cosine + m * after)
        p = p * 2 * n * cosine / (m * cosine + n * after)
    inside = cosines[-1]
    common = np.sqrt(np.cos(theta)) * np.sin(theta)
    common = common * np.exp(1j * k * objective.depth_um * objective.sample_index * inside)
    return (
        common * (s + p * inside),
        common * p * transverse / objective.sample_index,
        common * (s - p * inside),
    )


def _intensity(amplitudes: list[np.ndarray], argument: np.ndarray) -> np.ndarray:
    """Integrate over the pupil and add the squares; ``amplitudes`` are real parts above imaginary parts."""
    first = j1(argument)
    zeroth = j0(argument)
    second = 2 * first / np.where(argument > 0, argument, 1) - zeroth * (argument > 0)
    total = 0.0
    for amplitude, bessel, factor in zip(amplitudes, (zeroth, first, second), (1, 2, 1), strict=True):
        real, imaginary = np.split(amplitude @ bessel, 2)
        total = total + factor * (real**2 + imaginary**2)
    return np.asarray(total)
