"""Open the formats of microscopes' makers through the optional package bioio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError
from .metadata import Channel, Metadata
from .series import choose_series
from .source import Guarded, Lazy

READERS = {".czi": "bioio-czi", ".nd2": "bioio-nd2", ".lif": "bioio-lif", ".dv": "bioio-dv", ".sldy": "bioio-sldy"}
MICROSCOPES = (".czi", ".nd2", ".lif", ".oib", ".oif", ".oir", ".vsi", ".dv", ".r3d", ".ims", ".sldy", ".zvi")


def open_microscope(path: Path, series: int | None = None) -> Lazy:
    """Open an image of a microscope's own format.

    Raises
    ------
    FileError
        bioio or its reader for this format is not installed, or the file is damaged.
    InputError
        The file holds several images.
    """
    try:
        from bioio import BioImage
    except ImportError as error:
        reader = READERS.get(path.suffix.lower(), "bioio-bioformats")
        raise FileError(
            f"Reading {path}, a {path.suffix} file, needs the package bioio and its reader for this format: "
            f'pip install "napari-genprior[microscopes]" {reader}. Or save the image as OME-TIFF there.'
        ) from error
    try:
        image = BioImage(path)
        names = [str(scene) for scene in image.scenes]
    except Exception as error:  # of its readers
        raise FileError(
            f"{path} cannot be read ({str(error)[:LONGEST]}). A reader of bioio for "
            f"{path.suffix} may be missing, or the file damaged; save it as OME-TIFF in the microscope's program."
        ) from error
    number = choose_series(path, [1] * len(names), names, range(len(names)), series)
    try:
        image.set_scene(number)
        data, axes = image.dask_data, str(image.dims.order)
        sizes = {axis: _size(image, axis) for axis in "ZYX"}
        known = {axis: size for axis, size in sizes.items() if size}
        channels = tuple(Channel(str(name)) for name in image.channel_names or ())
    except Exception as error:
        raise FileError(f"{path} cannot be read; it may be damaged ({str(error)[:LONGEST]}).") from error
    kept = [n > 1 or axis in "YX" for axis, n in zip(axes, data.shape, strict=True)]
    data = data[tuple(slice(None) if keep else 0 for keep in kept)]
    axes = "".join(axis for axis, keep in zip(axes, kept, strict=True) if keep)
    units = dict.fromkeys(known, "micrometer")
    return Lazy(Guarded(data, str(path)), axes, known, units, metadata=Metadata(channels=channels))


def _size(image: Any, axis: str) -> float:
    size = getattr(image.physical_pixel_sizes, axis, None)
    return abs(float(size)) if size is not None and np.isfinite(size) else 0.0
