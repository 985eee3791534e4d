"""``genprior simulate`` and ``genprior deblur``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError
from ..settings import BlurSettings, NoiseSettings
from .arguments import chosen, repeat, request_options, same_input
from .base import check_output_paths, follow, genprior, options_from, verdict_line, write_report
from .large import deblur_large, deblur_varying, is_large, tiles
from .stack import ALONE, deblur_stack, is_stack, stack_options


@genprior.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Blurred image to write.")
@options_from(BlurSettings)
@click.option(
    "--kernel", "kernel_file", type=click.Path(path_type=Path), help="Blur with the kernel in this file instead."
)
@options_from(NoiseSettings)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--kernel-out", type=click.Path(path_type=Path), help="Write the kernel here (float TIFF).")
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


@genprior.command()
@click.argument("source", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Restored image to write, in the input's type.",
)
@request_options
@stack_options
@click.option(
    "--tiles", callback=tiles, metavar="ROWSxCOLUMNS", help="The blur changes over the image: a kernel for each tile."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write figures, settings and versions here (JSON).")
@click.option("--kernel-out", type=click.Path(path_type=Path), help="Write the kernel here (float TIFF).")
@click.option(
    "--found",
    type=click.Path(path_type=Path),
    help="Write what was found here, even where the verdict keeps the input.",
)
@click.option(
    "--from", "report_file", type=click.Path(path_type=Path), help="Repeat the run of this report; IN may be left out."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Untrained networks: keep here how far the run is; killed, the same command goes on from there.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def deblur(
    source: Path | None,
    output: Path,
    kernel_file: Path | None,
    settings_file: Path | None,
    values: tuple[str, ...],
    report: Path | None,
    kernel_out: Path | None,
    found: Path | None,
    report_file: Path | None,
    checkpoint: Path | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Make a blurred image sharp; the blur is found too, unless --kernel names it."""
    stack = {name: given.pop(name) for name in ALONE}
    arguments = {name: value for name, value in given.items() if value is not None}
    earlier: dict[str, Any] = {}
    if report_file:
        if arguments or kernel_file or settings_file or values or any(stack.values()):
            raise InputError(
                "--from repeats a run as it was; only IN, -o, --report, --kernel-out, --found and --quiet may stand "
                "beside it."
            )
        earlier = repeat(report_file)
        source = source or earlier["source"]
        kernel_file, stack = earlier["kernel_file"], earlier["stack"]
        arguments = {
            name: earlier[name] for name in ("method", "settings", "kernel_size", "seed", "device", "time_limit_s")
        }
    if source is None:
        raise click.UsageError("Missing argument IN (the blurred image), or --from with a report.")
    arguments = chosen(arguments, settings_file, values)
    written = (output, report, kernel_out, found, checkpoint)
    check_output_paths(source, *written, others=(kernel_file, settings_file, report_file))
    outer = (source, output, kernel_file, kernel_out, report, quiet)
    otherwise = None
    if "tiles" in arguments:
        otherwise = partial(deblur_varying, *outer, arguments)
    elif not any(stack.values()) and not earlier and is_large(source):
        otherwise = partial(deblur_large, *outer, arguments)
    elif any(stack.values()) or is_stack(source):
        otherwise = partial(deblur_stack, *outer, {**arguments, **stack}, earlier)
    if otherwise:
        if checkpoint or found:
            raise InputError("--checkpoint and --found are for single images that are not in tiles; leave them out.")
        otherwise()
        return
    from ..core.image_io import as_type, check_place, check_writable, read_image

    image = read_image(source)
    for file, dtype in ((output, image.dtype), (found, image.dtype), (kernel_out, "float32")):
        if file:
            check_writable(file, dtype)
    if report:
        check_place(report)
    import torch

    from ..core.lazy_io import scale_of
    from ..core.tiled_io import write_image_file
    from ..pipeline import plan as planning
    from ..pipeline import run as deblurring

    if earlier:
        torch.set_num_threads(earlier["threads"])
    kernel = read_image(kernel_file) if kernel_file else None
    plan = planning.plan(image, kernel=kernel, **arguments)
    if earlier:
        same_input(plan, earlier, source)
    result = follow(deblurring.run(plan, checkpoint), plan.sentence, quiet)
    scale = scale_of(source)
    write_image_file(output, as_type(result.image, image.dtype), scale)
    if found:
        write_image_file(found, as_type(result.found, image.dtype), scale)
    if kernel_out:
        write_image_file(kernel_out, result.kernel, scale)
    if report:
        write_report(report, result, source, kernel_file, output)
    kept = " --found FILE writes what was found." if result.found is not result.image and not found else ""
    click.echo(f"{output}: {verdict_line(result)}{kept}")
