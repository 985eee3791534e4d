"""Read the kernels that a user gives, with what their file says about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..blur.given_kernel import GivenKernel, is_normalized
from ..blur.optics_request import Optics
from ..core.errors import InputError, short_repr
from ..core.lazy_io import TIFFS, open_lazy
from ..core.units import lengths_um
from ..core.version import SOFTWARE


def parse_kernel(kernel: Any) -> GivenKernel | None:
    """Return the given kernel or kernels; their shape and values are checked once the axes are known.

    Of optics, the kernel is computed once the image is known (:mod:`.optics_kernels`).
    """
    if isinstance(kernel, Optics):
        return None
    if kernel is None or isinstance(kernel, GivenKernel):
        return kernel
    if isinstance(kernel, str | Path):
        return read_kernel(kernel)
    try:
        return GivenKernel(np.asarray(kernel))
    except (TypeError, ValueError) as error:
        raise InputError(f"kernel must be an array of numbers, or a path; got {short_repr(kernel)}.") from error


def read_kernel(path: str | Path) -> GivenKernel:
    """Read a kernel, or several, with the pixel size that the file names; raises FileError."""
    with open_lazy(path) as file:
        values = np.asarray(file.data[...])
        sizes = lengths_um(file.pixel_size, file.units)
    colour = values.ndim == 3 and values.shape[-1] in (3, 4) and max(values.shape[:2]) > 4
    if colour and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]  # a grey image that was saved as colour
    return GivenKernel(values, sizes, exact=_is_own(Path(path), values), carrier="file")


def _is_own(path: Path, values: np.ndarray) -> bool:
    """Return whether this package wrote a file of kernels."""
    if path.suffix.lower() not in TIFFS or not is_normalized(values):
        return False
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        software = str(tiff.pages[0].tags.valueof("Software", ""))  # type: ignore[union-attr]
    return software.startswith(SOFTWARE)
