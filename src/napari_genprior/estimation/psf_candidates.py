"""Simulated microscopes as candidates for the unknown kernel of a volume: such as agree with what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..blur import microscope as optics
from ..blur import random_microscope as objectives
from ..core.errors import InputError
from ..operators.volumes import Sides
from ..settings import VolumeSettings
from ..zoo.projection import device_of
from ..zoo.store import Generator

SQUARE = 1.05  # longer over shorter side, up to which a pixel counts as square
COARSEST = 2.0  # sides of a pixel, in wavelengths over apertures; four times the width of a focused spot


@dataclass(frozen=True)
class Known:
    """What is known of the microscope that took a volume.

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
class Optic:
    """A microscope in focus, and the distance of its planes."""

    microscope: optics.Microscope
    step_nm: float


@dataclass(frozen=True)
class Candidate:
    """A kernel that may be.

    Attributes
    ----------
    against : float
        What speaks against it.
    smoothing : float
        That suits it, see :func:`.held_out.foretold`.
    kernel : Tensor [1, 1, kz, kh, kw]
    optic : Optic or None
        The microscope it is of, if one was simulated.
    """

    against: float
    regularization: float
    kernel: Tensor
    optic: Optic | None


def parse_constraints(s: VolumeSettings, voxel_um: Sequence[float] | None) -> Known:
    """What settings and the sides of voxels (z, y, x) tell.

    Sides count as they are where the optics are known; otherwise only their ratio does.

    Raises
    ------
    InputError
        No microscope is like that, its blur would not be seen, or none can be simulated.
    """
    given = {
        "kind": None if s.microscope == "unknown" else s.microscope, "na": s.na, "wavelength_nm": s.wavelength_nm,
        "immersion_index": s.immersion_index,
    }  # fmt: skip
    fields = {name: value for name, value in given.items() if value is not None}
    if fields and find_spec("psfmodels") is None:
        raise InputError("What is known of a microscope needs the package psfmodels: pip install psfmodels.")
    ratio = None
    if voxel_um is not None:
        z, y, x = voxel_um
        if max(y, x) > SQUARE * min(y, x):
            raise InputError(f"Without a kernel, pixels must be square; got {y:g} x {x:g} um. Give a kernel instead.")
        across = (y * x) ** 0.5
        ratio = z / across
        if set(fields) - {"kind"}:
            fields["pixel_size_nm"] = 1000 * across
    one = objectives.with_known(optics.Microscope(), fields)  # refuses what no microscope has
    if {"na", "pixel_size_nm"} <= set(fields) and one.pixel_size_nm > COARSEST * one.wavelength_nm / one.na:
        raise InputError(
            f"Pixels of {one.pixel_size_nm:g} nm do not show the blur of an aperture of {one.na:g}: are the sides of "
            "voxels in um?"
        )
    return Known(fields, ratio)


def sample_candidates(
    rng: np.random.Generator, prior: Generator, known: Known, near: Candidate | None, spread: float
) -> tuple[Optic | None, Tensor]:
    """A simulated microscope, any or one ``near`` a candidate, with its kernel of the generator's size.

    Without ``psfmodels`` it is a random latent's kernel.
    """
    depth, height, width = sides_of_kernels(prior)
    device = device_of(prior.net)
    if find_spec("psfmodels") is None:
        z = 0.5 * rng.standard_normal((1, prior.card.latent))
        return None, prior.decode(torch.from_numpy(z.astype(np.float32)).to(device))
    if near is None or near.optic is None:
        microscope = objectives.random_microscope(rng, height, known=known.fields, ratio=known.ratio)
        microscope = replace(microscope, defocus_um=0.0)
        step = objectives.random_step_nm(rng, microscope)
    else:
        microscope, step = _varied(rng, near.optic, known, spread)
    optic = Optic(microscope, step if known.ratio is None else known.ratio * microscope.pixel_size_nm)
    kernel = optics.microscope_psf_3d(shape=(depth, height, width), step_z_nm=optic.step_nm, **vars(microscope))
    return optic, torch.from_numpy(kernel)[None, None].to(device)


def sides_of_kernels(prior: Generator) -> Sides:
    """Depth, height and width of the kernels; that they are volumes was seen to by the plan."""
    size = prior.card.size
    return (size[0], size[1], size[-1])


def _varied(rng: np.random.Generator, near: Optic, known: Known, spread: float) -> tuple[optics.Microscope, float]:
    """A microscope near another: sides of voxels by a factor of about ``1 + spread``, the rest in proportion."""
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
