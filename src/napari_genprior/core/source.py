"""An opened image or stack: pixels, what its axes mean, and what else its file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import LONGEST, FileError, GenPriorError
from .metadata import Metadata

OME_VERSION = "0.5"  # default of written files
SPACE_AXES = "ZYX"


@dataclass(frozen=True)
class Bands:
    """How a file stores the bands of an image that is neither grey nor colour: as samples of each pixel.

    Parameters
    ----------
    photometric : str
        "rgb" or "minisblack".
    extra : tuple of int
        Meaning of the samples beyond those, as in TIFF (0: unspecified, 2: alpha).
    """

    photometric: str
    extra: tuple[int, ...]


@dataclass(frozen=True)
class Lazy:
    """An opened image or stack whose data are read when they are indexed.

    Parameters
    ----------
    data : array-like
        Read when it is indexed. Values are as they show: upright, grey or RGB(A), bright is large.
    axes : str or None
        A letter per axis, as in OME; None: unknown.
    pixel_size : mapping of str to float
        By letter of the axis, in ``units``; without axes whose size is unknown.
    units : mapping of str to str
        Names as in OME-Zarr ("micrometer").
    ome_version : str
        Version of the OME-Zarr metadata.
    alpha : array or None
        Opacity of a grey image, which is written with the result; that of colours is their fourth sample.
    hidden : bool array [Y, X] or None
        Pixels that are fully transparent; they have the values of the nearest visible ones.
    bands : Bands or None
        Of an image with samples that are neither grey nor colour, which are its axis C.
    metadata : Metadata
        What else the file says.
    """

    data: Any
    axes: str | None = None
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    ome_version: str = OME_VERSION
    alpha: np.ndarray | None = None
    hidden: np.ndarray | None = None
    bands: Bands | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def scale_only(self) -> Lazy:
        """Pixel sizes alone, for what is no image: kernels."""
        return Lazy(None, None, self.pixel_size, self.units, self.ome_version)


@dataclass(frozen=True)
class Guarded:
    """Lazy data whose damaged parts, met while they are read, are named in a sentence.

    Parameters
    ----------
    data : array-like
        Of zarr, dask or any other package.
    name : str
        Of the file.
    """

    data: Any
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        """Data type."""
        return self.data.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a part; raises FileError where it is damaged."""
        try:
            return np.asarray(self.data[index])
        except (GenPriorError, MemoryError):
            raise
        except Exception as error:  # codecs and remote stores raise errors of many types
            raise FileError(
                f"{self.name} cannot be read in full; it may be damaged or truncated ({str(error)[:LONGEST]})."
            ) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)
