"""Open TIFF files: choose the series, decode in the base install, show samples as they are meant."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .axes import axis_candidates
from .colour import full_range, oriented
from .errors import LONGEST, FileError, GenPriorError, InputError
from .file_size import MAX_COMPRESSION, check_declared
from .series import choose_series
from .source import Bands, Guarded, Lazy
from .tiff_pages import Mapped, PagedTiff, Shown
from .tiff_read_metadata import metadata_of, ome_of, pixel_size_of
from .tiff_samples import RGB, Samples, samples_of
from .transparency import split_alpha

EAGER_BYTES = 2**26  # smaller files are read at once
TURNED = range(5, 9)  # orientations that exchange rows and columns
REDUCED, MASK = 1, 4  # of NewSubfileType


@contextmanager
def open_tiff(path: Path, series: int | None = None) -> Iterator[Lazy]:
    """Open a series of a TIFF file.

    Raises
    ------
    FileError
        The file is damaged.
    InputError
        Several images fit, or its colours cannot be converted.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs is in our sentences, or harmless
    try:
        tiff = tifffile.TiffFile(path)
    except Exception as error:
        raise _damaged(path, error) from error
    with ExitStack() as files:
        files.enter_context(tiff)
        try:
            opened = _open(path, tiff, files, series)
        except (GenPriorError, MemoryError):
            raise
        except Exception as error:  # tifffile raises errors of many types
            raise _damaged(path, error) from error
        yield opened


def largest_sides(path: Path) -> tuple[int, int]:
    """Read rows and columns of the largest image of a TIFF file; 0 where it cannot be read."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            return max(((e.keyframe.imagelength, e.keyframe.imagewidth) for e in tiff.series), key=prod)
    except Exception:
        return 0, 0  # reading the image raises the error with its reason


def _damaged(path: Path, error: Exception) -> FileError:
    return FileError(f"{path} cannot be read; it may be damaged or truncated ({str(error)[:LONGEST]}).")


def _open(path: Path, tiff: Any, files: ExitStack, wanted: int | None) -> Lazy:
    every, believed = _all_series(path, tiff, files)
    shown = [number for number, each in enumerate(every) if not _is_subordinate(each)] or list(range(len(every)))
    number = choose_series(path, [_area(each) for each in every], [_label(each) for each in every], shown, wanted)
    series = every[number].levels[0]
    page, axes = series.keyframe, series.axes
    if any(each is None for each in series.pages):
        missing = sum(each is None for each in series.pages)
        raise FileError(
            f"{path} names {len(series.pages)} planes, {missing} of which are in files that are not beside it or "
            "were never written; put the files of the set into one folder."
        )
    lookup_table = bool(tiff.is_imagej or tiff.is_ome)
    samples, ome = samples_of(page, lookup_table), ome_of(tiff, number)
    orientation = int(page.tags.valueof("Orientation", 1))
    whole = orientation in range(2, 9) or samples.extra != () or page.imagedepth > 1
    check_declared(series.nbytes, _stored_bytes(path, series), MAX_COMPRESSION)
    if series.nbytes <= EAGER_BYTES or whole:
        stored, axes = _samples_last(series.asarray(), axes)
        data: Any = samples.apply(stored)
        axes = _after(axes, data.ndim)
    else:
        raw, axes = _lazy_samples(path, tiff, series)
        pointwise = Shown(raw, samples, axes)
        axes = _after(axes, len(pointwise.shape))
        data = Guarded(raw if samples.as_stored else pointwise, str(path))
    sizes, units = pixel_size_of(tiff, ome) if believed else ({}, {})
    metadata = metadata_of(tiff, page, ome, samples.converted)
    opened = Lazy(data, _usable_axes(series, axes, tuple(data.shape)), sizes, units, metadata=metadata)
    return _upright(_extra_samples(opened, samples), orientation)


def _all_series(path: Path, tiff: Any, files: ExitStack) -> tuple[list[Any], bool]:
    """List the series, and tell whether the metadata that group them were usable."""
    import tifffile

    try:
        every = list(tiff.series)
        if every and all(prod(each.shape) for each in every):
            return every, True
    except Exception:
        pass
    plain = files.enter_context(tifffile.TiffFile(path, is_ome=False, is_imagej=False, is_shaped=False))
    return list(plain.series), False


def _is_subordinate(series: Any) -> bool:
    """Tell whether a series is a thumbnail or a mask of another one."""
    return bool(int(series.keyframe.subfiletype) & (REDUCED | MASK))


def _area(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _label(series: Any) -> str:
    name = f" ({series.name})" if getattr(series, "name", "") else ""
    return f"{'x'.join(map(str, series.levels[0].shape))}, {series.dtype}{name}"


def _stored_bytes(path: Path, series: Any) -> int:
    """Return the size of the files of a series."""
    files = {page.parent.filehandle.path for page in series.pages if page is not None}
    return sum(Path(each).stat().st_size for each in files) or path.stat().st_size


def _samples_last(stored: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Move the samples of a planar file to the end."""
    if "S" not in axes or axes.endswith("S"):
        return stored, axes
    return np.moveaxis(stored, axes.index("S"), -1), axes.replace("S", "") + "S"


def _after(axes: str, ndim: int) -> str:
    """Return the axes of samples as they show: a palette adds one, ink and greys may take one."""
    space = axes.removesuffix("S")
    return space + "S" if ndim > len(space) else space


def _lazy_samples(path: Path, tiff: Any, series: Any) -> tuple[Any, str]:
    """Open the samples of a large series, last of the axes."""
    page, axes = series.keyframe, series.axes
    planar = page.samplesperpixel > 1 and int(page.planarconfig) == 2
    if series.dataoffset is not None and int(page.compression) == 1 and not planar and page.dtype != bool:
        dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
        return Mapped(path, series.dataoffset, tuple(series.shape), dtype), axes
    return PagedTiff(series), axes.replace("S", "") + ("S" if page.samplesperpixel > 1 else "")


def _usable_axes(series: Any, axes: str, shape: Sequence[int]) -> str | None:
    """Return the axes; None where the file was written as an array, whose axes tifffile can only guess."""
    guessed = series.kind == "shaped" and "Q" in axes
    return None if guessed and not axis_candidates(shape, axes) else axes


def _extra_samples(opened: Lazy, samples: Samples) -> Lazy:
    """Take alpha, or bands that are neither grey nor colour, from the samples."""
    data, axes = opened.data, opened.axes
    if not samples.extra:
        return opened
    if samples.has_alpha or _is_opaque(data, samples):
        data, alpha, hidden = split_alpha(data)
        axes = axes if axes is None or alpha is None else axes.removesuffix("S")
        return replace(opened, data=data, axes=axes, alpha=alpha, hidden=hidden)
    bands = samples.bands or Bands("minisblack", samples.extra)
    if axes is None or "C" in axes:
        raise InputError(
            f"Each pixel of the file has {data.shape[-1]} samples, which are neither grey nor colour, beside its axes "
            f"{axes}; save them as channels of one stack."
        )
    lead = axes.removesuffix("YXS")
    return replace(opened, data=np.moveaxis(data, -1, -3), axes=f"{lead}CYX", bands=bands)


def _is_opaque(data: np.ndarray, samples: Samples) -> bool:
    """Tell whether a fourth sample of unspecified meaning is an alpha channel that hides nothing."""
    unspecified = len(samples.extra) == 1 and samples.photometric == RGB
    return unspecified and bool((data[..., -1] == full_range(data.dtype)).all())


def _upright(opened: Lazy, orientation: int) -> Lazy:
    """Turn an image upright, and with it what belongs to its pixels."""
    axes = opened.axes
    if orientation not in range(2, 9) or axes is None or "YX" not in axes:
        return opened
    rows = axes.index("Y")
    sizes, units, metadata = dict(opened.pixel_size), dict(opened.units), opened.metadata
    if orientation in TURNED:
        other = {"Y": "X", "X": "Y"}
        sizes = {other.get(axis, axis): size for axis, size in sizes.items()}
        units = {other.get(axis, axis): unit for axis, unit in units.items()}
        metadata = replace(metadata, dpi=None if metadata.dpi is None else metadata.dpi[::-1])
    return replace(
        opened,
        data=np.ascontiguousarray(oriented(opened.data, orientation, rows)),
        alpha=None if opened.alpha is None else oriented(opened.alpha, orientation, opened.alpha.ndim - 2),
        hidden=None if opened.hidden is None else oriented(opened.hidden, orientation, 0),
        pixel_size=sizes,
        units=units,
        metadata=metadata,
    )
