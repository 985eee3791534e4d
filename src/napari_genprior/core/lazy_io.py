"""Open image files lazily, to read a piece at a time. Imports no torch.

Zarr needs the optional packages of ``pip install "napari-genprior[zarr]"``, other formats of microscopes those of
``"napari-genprior[microscopes]"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FileError
from .microscope_io import MICROSCOPES, open_microscope
from .paths import exists
from .source import OME_VERSION as OME_VERSION
from .source import SPACE_AXES as SPACE_AXES
from .source import Guarded
from .source import Lazy as Lazy
from .whole_files import read_whole
from .zarr_read import is_zarr as is_zarr
from .zarr_read import need_zarr as need_zarr
from .zarr_read import open_zarr

TIFFS = (".tif", ".tiff")
TIFF_LIKE = (*TIFFS, ".btf", ".tf8", ".lsm", ".stk", ".svs", ".ndpi", ".scn", ".qptiff")  # read, not written


@contextmanager
def open_lazy(source: Any, series: int | None = None) -> Iterator[Lazy]:
    """Open a path lazily, or wrap an array (numpy, dask, zarr).

    Parameters
    ----------
    series : int, optional
        Which image of a file with several, from 0; by default the only one of its size.

    Raises
    ------
    FileError
        The file is missing or unreadable, or an optional package is not installed.
    InputError
        The file type is not supported, or the file holds several images that fit.
    """
    if not isinstance(source, str | Path):
        is_array = hasattr(source, "shape") and hasattr(source, "dtype")
        yield Lazy(source if is_array else np.asarray(source))
        return
    path = Path(source)
    if not exists(path):
        raise FileError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if is_zarr(path):
        yield open_zarr(path, series)
    elif suffix in TIFF_LIKE:
        from .tiff_read import open_tiff

        with open_tiff(path, series) as opened:
            yield opened
    elif suffix in MICROSCOPES:
        yield open_microscope(path, series)
    else:
        yield read_whole(path, series)


def guarded(data: Any) -> Any:
    """Return lazy data whose damaged parts are named in a sentence; arrays in memory as they are."""
    return data if isinstance(data, np.ndarray | Guarded) else Guarded(data, "The image")
