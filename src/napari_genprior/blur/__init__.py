"""Blur kernels (float32 ``[kh, kw]``, >= 0, sum 1, centred on the array) and camera noise."""

from . import microscope as optics
from . import random_microscope as objectives
from .beads import Beads, from_beads
from .kernels import asim_a, asim_b, box, defocus, from_array, gaussian, overlay
from .measurement import Shape, measure, resample
from .microscope import microscope_psf, microscope_psf_3d
from .motion import motion, shake

__all__ = [
    "Beads",
    "Shape",
    "asim_a",
    "asim_b",
    "box",
    "defocus",
    "from_array",
    "from_beads",
    "gaussian",
    "measure",
    "microscope_psf",
    "microscope_psf_3d",
    "motion",
    "objectives",
    "optics",
    "overlay",
    "resample",
    "shake",
]
