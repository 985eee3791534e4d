"""``genprior kernel``: kernels from beads, on other pixels, in numbers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .base import check_output_paths, genprior


@genprior.group()
def kernel() -> None:
    """Measure and convert blur kernels (point spread functions)."""


@kernel.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Kernel to write (float TIFF).")
@click.option("--size", type=click.IntRange(3), help="Side in pixels; raised to an odd number.  [default: 33]")
def beads(source: Path, output: Path, size: int | None) -> None:
    """The mean of the beads in an image or stack."""
    check_output_paths(source, output)
    from ..blur import from_beads
    from ..core.image_io import check_writable, read_image, write_image

    check_writable(output, "float32")
    found = from_beads(read_image(source), size)
    write_image(output, found.kernel)
    others = "".join(f"; left out: {count} {reason}" for reason, count in found.left_out.items())
    click.echo(f"{output}: the mean of {len(found.used)} beads{others}.")


@kernel.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Kernel to write (float TIFF).")
@click.option("--factor", required=True, type=float, help="Pixel size of the kernel over that of the image.")
def resample(source: Path, output: Path, factor: float) -> None:
    """The kernel on larger or smaller pixels."""
    check_output_paths(source, output)
    from ..blur import resample as resampled
    from ..core.image_io import check_writable, read_image, write_image

    check_writable(output, "float32")
    made = resampled(read_image(source), factor)
    write_image(output, made)
    click.echo(f"{output}: {made.shape[0]}x{made.shape[1]} px.")


@kernel.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
def measure(source: Path) -> None:
    """Width, motion length (pixels) and angle (degrees, counter-clockwise from the x axis)."""
    from ..blur import measure as measured
    from ..core.image_io import read_image

    for name, value in asdict(measured(read_image(source))).items():
        click.echo(f"{name}: {value:.3f}")
