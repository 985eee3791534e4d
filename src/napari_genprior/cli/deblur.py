"""Define ``genprior deblur``: images, stacks, volumes and large files, all by one plan, one run and one ending."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import InputError
from .arguments import DEBLUR_OPTIONS, current_names, request_arguments, with_options
from .base import check_output_paths, genprior, run_with_progress, write_report
from .rerun import prepare_rerun, read_report
from .wording import in_options

if TYPE_CHECKING:
    from ..core.result import DeblurResult
    from ..pipeline.plan import Plan

KERNEL_TYPES = (".tif", ".tiff", ".npy", ".zarr")
GRID_AXES = "IJYX"  # of a grid of kernels in Zarr: rows and columns of tiles have no letter of their own


@dataclass(frozen=True)
class Outputs:
    """The files that a run writes: the restored image, and what else was asked for."""

    image: Path
    estimate: Path | None
    kernel: Path | None
    report: Path | None


@genprior.command()
@with_options(DEBLUR_OPTIONS)
@click.pass_context
def deblur(context: click.Context, **_options: Any) -> None:
    """Deblur an image, stack or volume; its kernel is estimated too, unless --kernel gives it.

    Images of more than 4096 pixels a side are restored in tiles. The input is never overwritten, and a run that fails
    or is interrupted writes nothing.
    """
    given = current_names(context)
    quiet = given.pop("quiet")
    source, checkpoint, rerun = (given.pop(name, None) for name in ("source", "checkpoint", "rerun"))
    outputs = Outputs(*(given.pop(name, None) for name in ("output", "estimate_out", "kernel_out", "report")))
    earlier = None
    if rerun:
        if given:
            raise InputError(
                "--rerun repeats a run as it was; only IN, -o, --estimate-out, --kernel-out, --report and --quiet may "
                "be given with it."
            )
        earlier = read_report(rerun)
        source = source or earlier.source
    if source is None:
        raise click.UsageError("Missing argument IN (the blurred image), or --rerun with a report.")
    arguments = earlier.arguments if earlier else request_arguments(given)
    kernel, mask_file = arguments.get("kernel"), arguments.get("mask")
    kernel_file = kernel if isinstance(kernel, Path) else None  # not where it is computed
    written = (outputs.image, outputs.report, outputs.kernel, outputs.estimate, checkpoint)
    check_output_paths(source, *written, others=(kernel_file, mask_file, given.get("settings_file"), rerun))

    from ..core.lazy_io import open_lazy
    from ..pipeline.plan import make_plan
    from ..pipeline.run import run

    with open_lazy(source, arguments.get("series")) as file:
        plan = make_plan(file, out=outputs.image, **arguments)
        check_outputs(plan, outputs)
        if earlier:
            prepare_rerun(plan, earlier, source)
        elif "mode" not in arguments:
            _say_that_planes_are_separate(plan)
        for note in plan.kernel_notes:
            click.echo(in_options(note), err=True)
        result = run_with_progress(run(plan, checkpoint), plan.sentence, quiet)
        write_outputs(plan, result, outputs)
    if notes := _notes(plan, result):
        click.echo(notes, err=True)
    if outputs.report:
        write_report(outputs.report, result, source, kernel_file, outputs.image, mask_file)
    click.echo(f"{outputs.image}: {_stopped(result)}{result.sentence}{_hint(result, outputs)}")


def _say_that_planes_are_separate(plan: Plan) -> None:
    """Write a line on standard error where planes along Z are restored one by one and could be a volume."""
    layout = plan.layout
    if "Z" in layout.looped and "S" not in layout.axes and not plan.in_tiles:
        optics = " or --psf optics" if plan.source.metadata.optics.na else ""
        click.echo(f"{prod(layout.pieces)} planes, each restored in 2-D; for a volume: --mode 3d{optics}", err=True)


def check_outputs(plan: Plan, outputs: Outputs) -> None:
    """Raise where an output beside the image cannot be written: before the run, not after it."""
    from ..core.image_io import check_place
    from ..core.tiled_io import check_destination
    from ..pipeline.output_checks import check_creatable, check_output

    for path in filter(None, (outputs.kernel, outputs.report)):
        check_creatable(path)

    if outputs.estimate:
        if not plan.single:
            raise InputError(
                "--estimate-out is for single images and volumes: the rejected estimates of stacks and tiles are not "
                "computed. Leave it out."
            )
        check_output(outputs.estimate, plan.layout, plan.image.dtype)
    if outputs.kernel:
        suffix = outputs.kernel.suffix.lower()
        if suffix not in KERNEL_TYPES:
            raise InputError(f"{outputs.kernel} cannot hold a kernel; allowed are {', '.join(KERNEL_TYPES)}.")
        (check_destination if suffix == ".zarr" else check_place)(outputs.kernel)
    if outputs.report:
        check_place(outputs.report)


def write_outputs(plan: Plan, result: DeblurResult, outputs: Outputs) -> None:
    """Write what was asked for beside the image, which the run has written."""
    from ..core.conversion import Conversion
    from ..core.tiled_io import write_image_file

    if outputs.estimate:
        write_image_file(outputs.estimate, Conversion(plan.file_dtype)(result.found), plan.source, plan.layout.axes)
    if outputs.kernel:
        axes = plan.layout.own + plan.layout.space if plan.tiles is None else GRID_AXES
        write_image_file(outputs.kernel, result.kernels, plan.source.scale_only, axes)


def _notes(plan: Plan, result: DeblurResult) -> str:
    """Return what was left out and cut off; what was done to the kernel was said before the run."""
    sentence = result.status.sentence
    for said in ("Completed.", *plan.kernel_notes):
        sentence = sentence.replace(said, "")
    return "" if _stopped(result) else " ".join(sentence.split())


def _stopped(result: DeblurResult) -> str:
    """Return what a time limit cut short; empty for a run that came to its end."""
    from ..core.result import StatusCode

    return f"{result.status.sentence} " if result.status.code is StatusCode.STOPPED else ""


def _hint(result: DeblurResult, outputs: Outputs) -> str:
    """Return how to get a rejected estimate, where it was not written."""
    from ..core.result import REJECTED_ESTIMATE

    rejected = REJECTED_ESTIMATE in result.extra_images and not outputs.estimate
    return " --estimate-out FILE writes the rejected estimate." if rejected else ""
