"""What blurs: kernels float32 ``[kh, kw]``, >= 0, sum 1, centred on the array, and noise."""

from .kernels import blur_a, blur_b, box, defocus, from_array, gaussian, overlay
from .motion import motion, shake

__all__ = ["blur_a", "blur_b", "box", "defocus", "from_array", "gaussian", "motion", "overlay", "shake"]
