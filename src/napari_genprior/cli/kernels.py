"""Define ``genprior kernel``: estimate a kernel from beads, resample it, and measure it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .base import PATH, check_output_paths, genprior


@genprior.group()
def kernel() -> None:
    """Measure and convert blur kernels (point spread functions)."""


@kernel.command("beads")
@click.argument("source", metavar="IN", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Kernel to write (float TIFF).")
@click.option(
    "--size", type=click.IntRange(3), help="Side in pixels; even numbers are raised to the next odd one.  [default: 33]"
)
def beads_(source: Path, output: Path, size: int | None) -> None:
    """Estimate the kernel as the mean of the beads in an image or stack."""
    check_output_paths(source, output)
    from ..blur import from_beads
    from ..core.image_io import check_writable, read_image, write_image

    check_writable(output, "float32")
    beads = from_beads(read_image(source), size)
    write_image(output, beads.kernel)
    excluded = "".join(f"; excluded: {count} {reason}" for reason, count in beads.left_out.items())
    click.echo(f"{output}: the mean of {len(beads.used)} beads{excluded}.")


@kernel.command()
@click.argument("source", metavar="IN", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Kernel to write (float TIFF).")
@click.option("--factor", required=True, type=float, help="Pixel size of the kernel over pixel size of the image.")
def resample(source: Path, output: Path, factor: float) -> None:
    """Resample a kernel to larger or smaller pixels."""
    check_output_paths(source, output)
    from ..blur import resample as resampled
    from ..core.image_io import check_writable, read_image, write_image

    check_writable(output, "float32")
    new_kernel = resampled(read_image(source), factor)
    write_image(output, new_kernel)
    click.echo(f"{output}: {new_kernel.shape[0]}x{new_kernel.shape[1]} px.")


@kernel.command()
@click.argument("source", metavar="IN", type=PATH)
def measure(source: Path) -> None:
    """Measure width and motion length (pixels) and angle (degrees, counter-clockwise from the x axis) of a kernel."""
    from ..blur import measure_kernel as measured
    from ..core.image_io import read_image

    for name, value in asdict(measured(read_image(source))).items():
        click.echo(f"{name}: {value:.3f}")
