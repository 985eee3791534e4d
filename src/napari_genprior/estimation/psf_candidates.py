"""Simulate microscopes that agree with what is known, as candidates for the unknown PSF of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..blur import microscope as optics
from ..blur import random_microscope as objectives
from ..core.errors import InputError
from ..settings import VolumeSettings
from ..zoo.projection import device_of
from ..zoo.store import Generator

MAX_ASPECT_RATIO = 1.05  # longer over shorter side, up to which a pixel counts as square
COARSEST_PIXEL = 2.0  # sides of a pixel, in wavelengths over apertures; four times the width of a focused spot


@dataclass(frozen=True)
class MicroscopeConstraints:
    """Hold what is known of the microscope that took a volume.

    Attributes
    ----------
    fields : dict
        Of :class:`.blur.microscope.Microscope`: all candidates have these.
    ratio : float or None
        Height of a voxel over its width.
    """

    fields: dict[str, Any]
    ratio: float | None = None


@dataclass(frozen=True)
class FocusedMicroscope:
    """A microscope in focus, and the distance of its planes."""

    microscope: optics.Microscope
    step_nm: float


@dataclass(frozen=True)
class PsfCandidate:
    """A candidate for the kernel.

    Attributes
    ----------
    cost : float
        Held-out error (:func:`~.cross_validation.held_out_error`); lower is better.
    regularization : float
        Best for it, a factor of the usual strength.
    kernel : Tensor [1, 1, kz, kh, kw]
    optic : FocusedMicroscope or None
        The simulated microscope; None where the kernel comes from elsewhere.
    """

    cost: float
    regularization: float
    kernel: Tensor
    optic: FocusedMicroscope | None


def parse_constraints(s: VolumeSettings, voxel_um: Sequence[float] | None) -> MicroscopeConstraints:
    """Parse microscope constraints from settings and voxel size (z, y, x).

    The size counts as it is where the optics are known; otherwise only its ratio does.

    Raises
    ------
    InputError
        No such microscope is possible, or its PSF would be smaller than a voxel.
    """
    given = {
        "kind": None if s.microscope == "unknown" else s.microscope, "na": s.na, "wavelength_nm": s.wavelength_nm,
        "immersion_index": s.immersion_index,
    }  # fmt: skip
    fields = {name: value for name, value in given.items() if value is not None}
    ratio = None
    if voxel_um is not None:
        z, y, x = voxel_um
        if max(y, x) > MAX_ASPECT_RATIO * min(y, x):
            raise InputError(f"Without a kernel, pixels must be square; got {y:g} x {x:g} um. Give a kernel instead.")
        across = (y * x) ** 0.5
        ratio = z / across
        if set(fields) - {"kind"}:
            fields["pixel_size_nm"] = 1000 * across
    one = objectives.with_known(optics.Microscope(), fields)  # refuses what no microscope has
    if {"na", "pixel_size_nm"} <= set(fields) and one.pixel_size_nm > COARSEST_PIXEL * one.wavelength_nm / one.na:
        raise InputError(
            f"Pixels of {one.pixel_size_nm:g} nm do not show the blur of an aperture of {one.na:g}: are the sides of "
            "voxels in um?"
        )
    return MicroscopeConstraints(fields, ratio)


def sample_candidates(
    rng: np.random.Generator, prior: Generator, known: MicroscopeConstraints, near: PsfCandidate | None, spread: float
) -> tuple[FocusedMicroscope, Tensor]:
    """Simulate a microscope, at random or ``near`` a candidate, with its kernel of the generator's size."""
    depth, height, width = kernel_shape(prior)
    if near is None or near.optic is None:
        microscope = objectives.random_microscope(rng, height, known=known.fields, ratio=known.ratio)
        microscope = replace(microscope, defocus_um=0.0)
        step = objectives.random_step_nm(rng, microscope)
    else:
        microscope, step = _perturb(rng, near.optic, known, spread)
    optic = FocusedMicroscope(microscope, step if known.ratio is None else known.ratio * microscope.pixel_size_nm)
    kernel = optics.microscope_psf_3d(shape=(depth, height, width), step_z_nm=optic.step_nm, **vars(microscope))
    return optic, torch.from_numpy(kernel)[None, None].to(device_of(prior.net))


def kernel_shape(prior: Generator) -> tuple[int, int, int]:
    """Return depth, height and width of a generator's kernels; the plan has checked that they are volumes."""
    size = prior.card.size
    return (size[0], size[1], size[-1])


def _perturb(
    rng: np.random.Generator, near: FocusedMicroscope, known: MicroscopeConstraints, spread: float
) -> tuple[optics.Microscope, float]:
    """Draw a microscope near another: voxel sides change by about ``1 + spread`` times, the rest in proportion."""
    m = near.microscope
    pixel, step, aperture, index, depth, pinhole = spread * rng.standard_normal(6)
    microscope = replace(
        m,
        pixel_size_nm=m.pixel_size_nm * np.exp(pixel),
        na=float(np.clip(m.na * np.exp(aperture / 2), 0.1, 0.98 * m.immersion_index)),
        sample_index=float(np.clip(m.sample_index + index / 5, 1.3, 1.55)),
        depth_um=float(np.clip(m.depth_um * np.exp(3 * depth), 0.1, 50)),
        pinhole_au=float(np.clip(m.pinhole_au * np.exp(3 * pinhole), 0.3, 5)),
    )
    return objectives.with_known(microscope, known.fields), float(np.clip(near.step_nm * np.exp(step), 20, 10_000))
