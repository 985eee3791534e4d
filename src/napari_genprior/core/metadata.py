"""What a file says of its image beside the pixels, to be written with the result as far as its type holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .optics_metadata import OpticsMetadata

ORIENTATION = 0x0112
COPIED_TEXTS = (0x010F, 0x0110, 0x0132, 0x013B, 0x8298)  # Make, Model, DateTime, Artist, Copyright


@dataclass(frozen=True)
class Channel:
    """A channel of a stack.

    Parameters
    ----------
    name : str
        "" where there is none.
    colour : str or None
        Six hexadecimal digits, RRGGBB.
    """

    name: str = ""
    colour: str | None = None


@dataclass(frozen=True)
class Metadata:
    """What a file says beside pixels, axes and pixel size.

    Parameters
    ----------
    icc_profile : bytes or None
        Of the colours as they are handed on; of colours that were converted, none.
    dpi : (float, float) or None
        Pixels per inch along x and y, for printing.
    exif : bytes or None
        As Pillow writes it; its orientation is upright.
    png_chunks : tuple of (bytes, bytes)
        Names and contents that are copied from PNG to PNG: gamma, texts, time.
    tiff_tags : tuple
        Further tags, as ``tifffile`` takes them: code, type, count, value, once.
    description : str or None
        The free text of a TIFF file.
    colour_map : array or None
        Of a TIFF file, uint16 [3, 256 or 65536]: the colours that grey values are shown in.
    imagej : mapping or None
        As ImageJ stores them: labels, ranges, lookup tables, time step, units.
    ome_xml : str or None
        OME metadata of this one image.
    zarr : mapping or None
        Attributes of an OME-Zarr group: omero, name, and those of other programs.
    channels : tuple of Channel
        In the order of axis C.
    time_step_s : float or None
        Seconds between frames.
    optics : OpticsMetadata
        Of the microscope; not written by itself, but part of ``ome_xml``, ``imagej`` and ``zarr``.
    """

    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    tiff_tags: tuple[tuple[int, int, int, Any, bool], ...] = ()
    description: str | None = None
    colour_map: Any = None
    imagej: Mapping[str, Any] | None = None
    ome_xml: str | None = None
    zarr: Mapping[str, Any] | None = field(default=None)
    channels: tuple[Channel, ...] = ()
    time_step_s: float | None = None
    optics: OpticsMetadata = field(default_factory=OpticsMetadata)


def upright_exif(exif: Any) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8) of a Pillow EXIF block, and the block with an upright orientation."""
    orientation = exif.get(ORIENTATION, 1)
    if not len(exif):
        return 1, None
    if ORIENTATION in exif:
        exif[ORIENTATION] = 1
    return (orientation if orientation in range(1, 9) else 1), exif.tobytes()


def tags_of_exif(exif: bytes | None) -> tuple[tuple[int, int, int, Any, bool], ...]:
    """Return the texts of an EXIF block as tags of a TIFF file: camera, time, author."""
    if exif is None:
        return ()
    from PIL import Image

    read = Image.Exif()
    read.load(exif)
    return tuple((code, 2, 0, str(read[code]), True) for code in COPIED_TEXTS if code in read)
