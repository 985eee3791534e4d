"""``genprior deblur`` for images that are solved in tiles: large ones, and ones whose blur changes over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from ..core.errors import InputError
from .base import follow, write_report


def tiles(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Read ``--tiles``."""
    if text is None:
        return None
    try:
        rows, columns = (int(side) for side in text.lower().split("x"))
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed is ROWSxCOLUMNS, such as 3x3.") from error
    return rows, columns


def is_large(source: Path) -> bool:
    """Whether a file holds one image that is larger than what is restored in one piece; only its head is read."""
    from ..core.errors import GenPriorError
    from ..core.lazy_io import TIFFS, is_zarr, open_lazy
    from ..pipeline.large import LARGE

    if not is_zarr(source) and source.suffix.lower() not in TIFFS:
        return False  # other types are read as a whole in any case
    try:
        with open_lazy(source) as file:
            axes = file.axes or "YXS"[: len(file.data.shape)]
            sides = {axis: n for axis, n in zip(axes, file.data.shape, strict=True) if n > 1}
    except (GenPriorError, ValueError, IndexError):
        return False  # whoever reads it says what is wrong
    return set(sides) <= set("YXS") and max(sides.values(), default=0) > LARGE


def deblur_large(
    source: Path,
    output: Path,
    kernel_file: Path | None,
    kernel_out: Path | None,
    report: Path | None,
    quiet: bool,
    arguments: dict[str, Any],
) -> None:
    """Restore a large image from file to file; the outputs are there only once all went well."""
    from ..core.image_io import check_place, check_writable, read_image, write_image
    from ..pipeline.large import iter_deblur_large

    if kernel_out:
        check_writable(kernel_out, "float32")
    if report:
        check_place(report)
    kernel = read_image(kernel_file) if kernel_file else None
    run = iter_deblur_large(source, output, kernel=kernel, **arguments)
    result = follow(run, f"{source.name}, in tiles", quiet)
    if kernel_out:
        write_image(kernel_out, result.kernel)
    if report:
        write_report(report, result, source, kernel_file, output)
    click.echo(f"{output}: {result.verdict.reason}")


def deblur_varying(
    source: Path,
    output: Path,
    kernel_file: Path | None,
    kernel_out: Path | None,
    report: Path | None,
    quiet: bool,
    arguments: dict[str, Any],
) -> None:
    """Restore an image whose blur changes over it; its kernels are written as a stack [ty, tx, kh, kw]."""
    from ..core.image_io import as_type, check_place, check_writable, read_image, write_image
    from ..pipeline.spatially_varying import iter_deblur_varying

    image = read_image(source)
    check_writable(output, image.dtype)
    if kernel_out and kernel_out.suffix.lower() not in (".npy", ".tif", ".tiff"):
        raise InputError(f"{kernel_out} cannot hold a grid of kernels; write .npy or .tif.")
    for path in filter(None, (kernel_out, report)):
        check_place(path)
    kernel = read_image(kernel_file) if kernel_file else None
    run = iter_deblur_varying(image, kernel=kernel, **arguments)
    result = follow(run, f"{source.name}, kernels by tiles", quiet)
    write_image(output, as_type(result.image, np.dtype(image.dtype)))
    if kernel_out:
        write_image(kernel_out, result.kernels)
    if report:
        write_report(report, result, source, kernel_file, output)
    click.echo(f"{output}: {result.verdict.reason}")
