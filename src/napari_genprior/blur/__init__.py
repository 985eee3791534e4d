"""What blurs: kernels float32 ``[kh, kw]``, >= 0, sum 1, centred on the array, and noise."""

from . import optics
from .kernels import blur_a, blur_b, box, defocus, from_array, gaussian, overlay
from .motion import motion, shake
from .optics import microscope_psf, microscope_psf_3d

__all__ = [
    "blur_a",
    "blur_b",
    "box",
    "defocus",
    "from_array",
    "gaussian",
    "microscope_psf",
    "microscope_psf_3d",
    "motion",
    "optics",
    "overlay",
    "shake",
]
