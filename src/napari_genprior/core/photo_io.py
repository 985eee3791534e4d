"""Read and write PNG, JPEG, WebP, BMP and JPEG 2000, with their metadata, through Pillow and imagecodecs."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .colour import cmyk_to_rgb, oriented
from .errors import InputError
from .file_size import MAX_COMPRESSION, check_declared
from .metadata import Metadata, upright_exif
from .source import Lazy
from .transparency import split_alpha, unpremultiply

JPEGS, JPEGS_2000 = (".jpg", ".jpeg"), (".jp2", ".j2k", ".jpx")
PHOTO_TYPES = {
    ".png": ("uint8", "uint16"),
    **dict.fromkeys((*JPEGS, ".webp", ".bmp"), ("uint8",)),
    **dict.fromkeys(JPEGS_2000, ("uint8", "uint16")),
}
JPEG_QUALITY = 95
INCH_M = 0.0254
COPIED_CHUNKS = (b"sRGB", b"gAMA", b"cHRM", b"tEXt", b"zTXt", b"iTXt", b"tIME")
JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3]..([\x08\x0a\x0c\x10])(.{4})[\x01-\x04]", re.DOTALL)  # bits, rows, columns
PNG_HEAD = 33  # bytes: signature and IHDR


def read_photo(path: Path) -> Lazy:
    """Read an image upright, as grey or RGB(A); raises errors of many types where it is damaged."""
    suffix, content = path.suffix.lower(), path.read_bytes()
    if suffix == ".png":  # before Pillow looks for what follows
        check_declared(8 * prod(struct.unpack(">II", content[16:24])), len(content), MAX_COMPRESSION)
    deep = _deep_jpeg(content) if suffix in JPEGS else None
    if deep is not None:
        return Lazy(deep, "YXS"[: deep.ndim])
    with _opened(content) as image:
        _check_frames(path, image)
        check_declared(8 * prod(image.size), len(content), MAX_COMPRESSION)
        orientation, exif = upright_exif(image.getexif())
        metadata = _metadata(image, content, exif, turned=orientation >= 5)
        samples, converted = _samples(image, content, suffix)
    samples = oriented(samples, orientation, 0)
    if converted:  # the profile was that of the inks
        metadata = Metadata(dpi=metadata.dpi, exif=metadata.exif)
    data, alpha, hidden = split_alpha(samples) if samples.shape[2:] in ((2,), (4,)) else (samples, None, None)
    return Lazy(data, "YXS"[: data.ndim], alpha=alpha, hidden=hidden, metadata=metadata)


def _deep_jpeg(content: bytes) -> np.ndarray | None:
    """Decode a JPEG of more than 8 bits, which Pillow does not know; None for usual ones."""
    import imagecodecs

    frame = JPEG_FRAME.search(content)
    if frame is None or frame[1] == b"\x08":
        return None
    check_declared(prod(struct.unpack(">HH", frame[2])) * 2, len(content), MAX_COMPRESSION)
    return imagecodecs.jpeg_decode(content)


@contextmanager
def _opened(content: bytes) -> Iterator[Any]:
    """Open an image with Pillow, whose limit for large ones is replaced by that of :mod:`.file_size`."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that Pillow cannot read
            with Image.open(io.BytesIO(content)) as image:
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _check_frames(path: Path, image: Any) -> None:
    """Refuse animations; a JPEG with further images inside (MPO, of phones) is its first one."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise InputError(f"{path} is an animation of {frames} frames; save them as a TIFF stack, or one of them.")


def _samples(image: Any, content: bytes, suffix: str) -> tuple[np.ndarray, bool]:
    """Decode to ``[Y, X]`` or ``[Y, X, 2 to 4]`` with alpha last; and whether the colours are others than stored."""
    import imagecodecs

    if suffix == ".png":
        return imagecodecs.png_decode(content), False
    if suffix in JPEGS_2000 and image.mode not in ("YCbCr", "CMYK"):
        return imagecodecs.jpeg2k_decode(content), False
    mode = image.mode
    if mode == "CMYK":
        return cmyk_to_rgb(np.asarray(image), image.info.get("icc_profile")), True
    if mode in ("P", "PA"):
        transparent = mode == "PA" or "transparency" in image.info
        return np.asarray(image.convert("RGBA" if transparent else "RGB")), False
    if mode == "RGBa":
        return unpremultiply(np.asarray(image)), False
    if mode in ("L", "LA", "RGB", "RGBA", "I;16", "I", "F"):
        return np.asarray(image), False
    return np.asarray(image.convert("L" if mode == "1" else "RGB")), False


def _metadata(image: Any, content: bytes, exif: bytes | None, turned: bool) -> Metadata:
    """Read what the file says beside its pixels, of an image that is ``turned`` by a quarter."""
    dpi = image.info.get("dpi")
    usable = isinstance(dpi, tuple) and len(dpi) == 2 and all(0 < float(n) < 1e6 for n in dpi)
    chunks = tuple(chunk for chunk in _png_chunks(content) if chunk[0] in COPIED_CHUNKS)
    return Metadata(
        icc_profile=image.info.get("icc_profile") or None,
        dpi=(float(dpi[turned]), float(dpi[not turned])) if usable else None,
        exif=exif,
        png_chunks=chunks,
    )


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents of the chunks of a PNG file; none of other files."""
    at = 8 if content.startswith(b"\x89PNG") else len(content)
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def write_photo(path: Path, suffix: str, image: np.ndarray, like: Lazy) -> None:
    """Write an image ``[Y, X]`` or ``[Y, X, 3 or 4]`` to ``path`` as the type of ``suffix``."""
    import imagecodecs

    metadata = like.metadata
    if like.alpha is not None and image.ndim == 2:
        image = np.stack([image, like.alpha.astype(image.dtype)], -1)
    image = np.ascontiguousarray(image)
    if suffix == ".png":
        encoded = imagecodecs.png_encode(image)
        path.write_bytes(encoded[:PNG_HEAD] + _encoded_chunks(metadata) + encoded[PNG_HEAD:])
    elif suffix in JPEGS_2000:
        path.write_bytes(imagecodecs.jpeg2k_encode(image, level=0, reversible=True, codecformat=_codec(suffix)))
    else:
        _write_with_pillow(path, suffix, image, metadata)


def _codec(suffix: str) -> str:
    return "J2K" if suffix == ".j2k" else "JP2"


def _write_with_pillow(path: Path, suffix: str, image: np.ndarray, metadata: Metadata) -> None:
    from PIL import Image

    samples = image.shape[2] if image.ndim == 3 else 1
    if suffix in (*JPEGS, ".bmp") and samples in (2, 4):  # they hold no alpha
        image = np.ascontiguousarray(image[..., 0] if samples == 2 else image[..., :3])
    known: dict[str, Any] = {"dpi": metadata.dpi, "exif": metadata.exif, "icc_profile": metadata.icc_profile}
    if metadata.icc_profile is not None and (image.ndim == 2) != (metadata.icc_profile[16:20] == b"GRAY"):
        known["icc_profile"] = None
    options = {name: value for name, value in known.items() if value is not None}
    if suffix == ".webp":
        options |= {"format": "WEBP", "lossless": True, "exact": True}
        options.pop("dpi", None)
    elif suffix == ".bmp":
        options = {"format": "BMP"} | ({"dpi": metadata.dpi} if metadata.dpi else {})
    else:
        options |= {"format": "JPEG", "quality": JPEG_QUALITY, "subsampling": 0}
    Image.fromarray(image).save(path, **options)


def _encoded_chunks(metadata: Metadata) -> bytes:
    """Encode the chunks of a PNG file that stand before its pixels."""
    chunks = list(metadata.png_chunks)
    if metadata.icc_profile is not None:
        chunks = [chunk for chunk in chunks if chunk[0] != b"sRGB"]
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile)))
    if metadata.dpi is not None:
        per_metre = [round(n / INCH_M) for n in metadata.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif.removeprefix(b"Exif\0\0")))
    return b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
