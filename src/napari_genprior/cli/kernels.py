"""Define ``genprior kernel``: estimate a kernel from beads, compute it from optics, resample it, and measure it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .arguments import voxel_size, with_options
from .base import PATH, check_output_paths, genprior
from .optics_options import OPTICS_OPTIONS, take_optics


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


def _sides(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, int, int] | None:
    """Read ``--size`` of a volume."""
    if text is None:
        return None
    try:
        z, y, x = (int(side) for side in text.lower().split("x"))
    except ValueError as error:
        raise click.BadParameter(f"got {text!r}; allowed is PLANESxROWSxCOLUMNS, such as 33x65x65.") from error
    return z, y, x


@kernel.command("optics")
@with_options(OPTICS_OPTIONS)
@click.option(
    "--voxel-size",
    "voxel_size_um",
    callback=voxel_size,
    metavar="Z,Y,X",
    help="Size of a voxel in um.  [default: as the image of --like says]",
)
@click.option(
    "--like",
    type=PATH,
    metavar="IMAGE",
    help="Take planes, channels, voxel size and what the options leave open from this stack.",
)
@click.option(
    "--size",
    callback=_sides,
    metavar="ZxYxX",
    help="Sides in voxels.  [default: as the stack of --like needs]",
)
@click.option("-o", "--output", required=True, type=PATH, help="PSF to write (float TIFF), one for each channel.")
@click.pass_context
def optics_(context: click.Context, **_options: Any) -> None:
    """Compute the PSF of a fluorescence microscope from its optics."""
    given = {name: value for name, value in context.params.items() if value is not None}
    output, like = given["output"], given.get("like")
    check_output_paths(like or output, *([output] if like else []))
    from ..core.image_io import check_writable
    from ..core.lazy_io import open_lazy
    from ..core.tiled_io import write_image_file
    from ..pipeline.optics_kernels import psf_of

    check_writable(output, "float32")
    optics, sizes = take_optics(given), (given.get("voxel_size_um"), given.get("size"))
    with nullcontext() if like is None else open_lazy(like) as image:
        kernels, scale, notes = psf_of(optics, image, *sizes)
    one = len(kernels) == 1
    write_image_file(output, kernels[0] if one else kernels, scale, "ZYX" if one else "CZYX")
    click.echo(f"{output}: {' '.join(notes)}")


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
