"""Blur kernels (float32 ``[kh, kw]``, >= 0, sum 1, centred on the array) and camera noise."""

import warnings
from typing import Any

from . import microscope, random_microscope
from .beads import Beads, from_beads
from .kernels import asim_a, asim_b, average_kernels, box, defocus, gaussian, normalize_kernel
from .measurement import KernelShape, measure_kernel, resample
from .microscope import microscope_psf, microscope_psf_3d
from .motion import motion, shake
from .optics_request import Optics

__all__ = [
    "Beads",
    "KernelShape",
    "Optics",
    "asim_a",
    "asim_b",
    "average_kernels",
    "box",
    "defocus",
    "from_beads",
    "gaussian",
    "measure_kernel",
    "microscope",
    "microscope_psf",
    "microscope_psf_3d",
    "motion",
    "normalize_kernel",
    "random_microscope",
    "resample",
    "shake",
]

# Names until 0.1, accepted for one release.
_RENAMED = {
    "Shape": "KernelShape",
    "blur_a": "asim_a",
    "blur_b": "asim_b",
    "from_array": "normalize_kernel",
    "measure": "measure_kernel",
    "objectives": "random_microscope",
    "optics": "microscope",
    "overlay": "average_kernels",
}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"blur.{name} is now called blur.{_RENAMED[name]}.", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
