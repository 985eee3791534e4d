"""Define ``genprior simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..settings import BlurSettings, NoiseSettings
from .base import PATH, check_output_paths, genprior, options_from


@genprior.command()
@click.argument("source", metavar="IN", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Blurred image to write.")
@options_from(BlurSettings)
@click.option("--kernel", "kernel_file", type=PATH, help="Blur with the kernel in this file instead.")
@options_from(NoiseSettings)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--kernel-out", type=PATH, help="Write the kernel here (float TIFF).")
def simulate(
    source: Path, output: Path, kernel_file: Path | None, seed: int, kernel_out: Path | None, **values: Any
) -> None:
    """Blur a sharp image and add noise."""
    check_output_paths(source, output, kernel_out, others=(kernel_file,))
    blur_settings = BlurSettings.checked({name: values.pop(name) for name in BlurSettings.model_fields})
    from ..core.image_io import as_type, check_writable, read_image, write_image

    image = read_image(source)
    check_writable(output, image.dtype)
    if kernel_out:
        check_writable(kernel_out, "float32")
    from ..simulation import make_kernel
    from ..simulation import simulate as blur_it

    kernel = read_image(kernel_file) if kernel_file else make_kernel(blur_settings, seed)
    made = blur_it(image, kernel, seed=seed, **values)
    write_image(output, as_type(made.blurred, image.dtype))
    if kernel_out:
        write_image(kernel_out, made.kernel)
    shape = "x".join(map(str, made.kernel.shape))
    click.echo(
        f"{output}: blurred with a {shape} kernel, noise {values['noise']:g}, {made.clipped:.1%} of the values clipped."
    )
