"""Combine excitation and emission into the point spread function of each kind of fluorescence microscope.

With the point spread functions ``h_ex`` and ``h_em`` of both wavelengths, and a pinhole P (a disk of sum 1):

=============  ==========================================================  =============================
widefield      ``h_em``                                                    the whole sample is lit
confocal       ``h_ex (h_em * P)``                                         Wilson [1]_
spinning-disk  ``h_em (h_ex * P * P + open / area(P))``                    summed over the moving pinholes
two-photon     ``h_ex^2``                                                  Denk [2]_, all light is detected
light-sheet    ``h_em exp(-4 ln 2 (z / thickness)^2)``                     Gaussian sheet in the focal plane
=============  ==========================================================  =============================

A spinning disk lights and detects through the same pinholes, and a camera records where the light arrives: over a turn,
excitation and detection of a pinhole at c add up to ``int (h_ex * P)(o - c) P(x - c) dc``. Light that enters through
other pinholes is spread evenly, in the share of the disk that is open [3]_.

References
----------
.. [1] T. Wilson (ed.), "Confocal Microscopy", Academic Press, 1990, chapter 1.
.. [2] W. Denk, J. H. Strickler, W. W. Webb, "Two-photon laser scanning fluorescence microscopy", Science 248, 1990.
.. [3] T. Tanaami et al., "High-speed 1-frame/ms scanning confocal microscope with a microlens and Nipkow disks",
   Applied Optics 41(22), 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .optics_diffraction import Objective, radial_profiles

if TYPE_CHECKING:
    from .microscope import Microscope

OPEN_FRACTION = 0.04  # of a spinning disk (reference 3 of the module)
SAMPLES_PER_PINHOLE = 16  # least number of radii over the radius of a pinhole
FINEST = 4  # times as many radii as asked for, at most, for that
BLOCK = 512  # radii whose weights are computed at once, which bounds the memory


def objective_of(m: Microscope) -> Objective:
    """Return what diffraction depends on, but for the wavelength."""
    return Objective(m.na, m.immersion_index, m.sample_index, m.depth_um)


def combined_profiles(m: Microscope, step_um: float, count: int, focus_um: np.ndarray, best_um: float) -> np.ndarray:
    """Compute the point spread function ``[focus, count]`` at radii 0, step, 2 step...

    Parameters
    ----------
    m : Microscope
    step_um : float
        Distance of neighbouring radii.
    focus_um : array [focus]
        Nominal positions of the focus below the coverslip.
    best_um : float
        That of best focus, where the sheet of a light-sheet microscope lies.

    Returns
    -------
    float64 array [focus, count]
        Per um^2; of widefield microscopes each plane integrates to 1, of the others the scale is arbitrary.
    """

    def profiles(wavelength_nm: float, step: float, number: int) -> np.ndarray:
        return radial_profiles(objective_of(m), wavelength_nm / 1000, step * np.arange(number), focus_um)

    if m.kind == "two-photon":
        return profiles(m.excitation, step_um, count) ** 2
    if m.kind in ("widefield", "light-sheet"):
        light = profiles(m.wavelength_nm, step_um, count)
        if m.kind == "widefield":
            return light
        return light * np.exp(-4 * np.log(2) * ((focus_um - best_um) / m.sheet_um) ** 2)[:, None]
    confocal = m.kind == "confocal"
    pinhole = m.pinhole_au * 0.61 * m.wavelength_nm / 1000 / m.na
    finer = int(np.clip(np.ceil(SAMPLES_PER_PINHOLE * step_um / pinhole), 1, FINEST))
    fine, beyond = step_um / finer, int(np.ceil((1 if confocal else 2) * pinhole / step_um)) + 1
    through = profiles(m.wavelength_nm if confocal else m.excitation, fine, finer * (count + beyond))
    if confocal:
        return profiles(m.excitation, step_um, count) * disk_means(through, fine, pinhole, step_um, count)
    once = disk_means(through, fine, pinhole, fine, finer * (count + beyond // 2))
    lit = disk_means(once, fine, pinhole, step_um, count) + OPEN_FRACTION / (np.pi * pinhole**2)
    return profiles(m.wavelength_nm, step_um, count) * lit


def disk_means(profiles: np.ndarray, fine_um: float, disk_um: float, step_um: float, count: int) -> np.ndarray:
    """Average rotationally symmetric functions over a disk around each point.

    Of the circle of radius t around the axis, the angle ``2 arccos((t^2 + r^2 - R^2) / (2 t r))`` lies in the disk of
    radius R around a point at the distance r.

    Parameters
    ----------
    profiles : array [z, t]
        Values at radii 0, ``fine_um``, 2 ``fine_um``..., to ``disk_um`` beyond the last point.
    disk_um : float
        Radius R of the disk.
    step_um, count
        The points: 0, step, 2 step...

    Returns
    -------
    float64 array [z, count]
    """
    t = fine_um * np.arange(profiles.shape[1])[:, None]
    parts = []
    for start in range(0, count, BLOCK):
        r = step_um * np.arange(start, min(start + BLOCK, count))[None]
        product = 2 * t * r
        cosine = np.where(product > 0, (t**2 + r**2 - disk_um**2) / np.where(product > 0, product, 1), 0)
        angle = np.where(product > 0, np.arccos(np.clip(cosine, -1, 1)), np.pi * (t + r <= disk_um))
        weights = angle * np.where(t > 0, t, fine_um / 8)  # the axis stands for the disk of half a step about it
        parts.append(profiles @ (weights / np.maximum(weights.sum(0), 1e-300)))
    return np.concatenate(parts, axis=1)
