"""``genprior deblur`` for stacks: files with more axes than an image, in and out with their names and pixel sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..core.errors import InputError
from .base import follow, write_report

_OPTIONS = (
    click.option("--axes", help="What a stack's axes mean, a letter each, such as TCYX.  [default: as the file says]"),
    click.option(
        "--kernels",
        type=click.Choice(["one", "channel", "frame", "plane"]),
        help="Of a stack: one kernel for all, or one for each of these.  [default: one]",
    ),
    click.option("--depth", type=click.Choice(["planes", "volume"]), help="Of a stack: what Z is.  [default: planes]"),
)
ALONE = ("axes", "kernels", "depth")  # names of these options


def stack_options(command: Callable) -> Callable:
    """Give a command the options that only stacks have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_stack(source: Path) -> bool:
    """Whether a file holds more than one image; only its head is read, and one that cannot be read is none."""
    from ..core.axes import COLOURS
    from ..core.lazy_io import TIFFS, is_zarr

    if is_zarr(source):
        return True
    try:
        if source.suffix.lower() in TIFFS:
            import tifffile

            with tifffile.TiffFile(source) as tiff:
                series = tiff.series[0]
                return len(series.axes.replace("S", "")) > 2
        if source.suffix.lower() == ".npy":
            shape = np.load(source, mmap_mode="r", allow_pickle=False).shape
            return len(shape) > 3 or (len(shape) == 3 and shape[-1] not in COLOURS)
    except Exception:
        return False  # whoever reads it says what is wrong
    return False


def deblur_stack(
    source: Path,
    output: Path,
    kernel_file: Path | None,
    kernel_out: Path | None,
    report: Path | None,
    quiet: bool,
    arguments: dict[str, Any],
    earlier: dict[str, Any],
) -> None:
    """Restore a stack from file to file, a piece at a time; the outputs are there only once all went well.

    ``earlier`` is the run to be repeated, if any, as :func:`.arguments.repeat` has it.
    """
    import torch

    from ..core.image_io import as_type, check_place
    from ..core.lazy_io import Lazy, open_lazy
    from ..core.provenance import array_hash
    from ..core.tiled_io import check_destination, open_writer
    from ..pipeline.stack import run_stack
    from ..pipeline.stack_plan import plan_stack
    from ..pipeline.volumes import sides_um

    arguments = {name: value for name, value in arguments.items() if value is not None}
    for path in filter(None, (output, kernel_out)):
        check_destination(path)
    if report:
        check_place(report)
    kernel = None
    if kernel_file:
        with open_lazy(kernel_file) as file:
            kernel = np.asarray(file.data[...])
    with open_lazy(source) as file:
        axes = arguments.pop("axes", None) or file.axes
        if arguments.get("depth") == "volume" and not earlier and (sides := sides_um(file.pixel_size, file.units)):
            arguments["voxel_um"] = sides
        plan = plan_stack(file.data, axes, kernel=kernel, **arguments)
        if earlier:
            torch.set_num_threads(earlier["threads"])
            kernel_hash = None if plan.given is None else array_hash(plan.given)
            _same(kernel_hash, earlier["kernel_sha256"], "The kernel file is not the kernel of that run")
        layout, dtype = plan.layout, np.dtype(file.data.dtype).newbyteorder("=")
        if not layout.axes.endswith(("YX", "YXS")):
            raise InputError(f"{source} has the axes {layout.axes}; its last ones must be YX, or YXS (colour).")
        with open_writer(output, layout.shape, dtype, file, layout.axes) as write:
            inside = 3 if layout.axes.endswith("S") else 2
            out = _Planes(lambda index, plane: write(index, 0, as_type(plane, dtype)), inside)
            result = follow(run_stack(plan, out), plan.sentence, quiet)
            if earlier:
                told = result.provenance.input_sha256
                _same(told, earlier["input_sha256"], f"{source} is not the stack of that run")
        if kernel_out:
            kernels, names = result.kernels, layout.own + layout.space
            pixels = Lazy(kernels, names, file.pixel_size, file.units)
            with open_writer(kernel_out, kernels.shape, kernels.dtype, pixels, names) as write:
                for index in np.ndindex(kernels.shape[:-2]):
                    write(index, 0, kernels[index])
    if report:
        write_report(report, result, source, kernel_file, output)
    click.echo(f"{output}: {'improved' if result.improved else 'NOT improved'}: {result.sentence}")


def _same(one: str | None, other: str | None, sentence: str) -> None:
    if one != other:
        raise InputError(f"{sentence} (SHA-256 differs); a run repeats only on its own input.")


class _Planes:
    """Takes pieces as an array would, and hands them on plane by plane: ``inside`` axes are those of a plane."""

    def __init__(self, write: Callable[[tuple[int, ...], np.ndarray], object], inside: int) -> None:
        self._write, self._inside = write, inside

    def __setitem__(self, where: tuple[int | slice, ...], piece: np.ndarray) -> None:
        lead = where[: -self._inside]
        for index in np.ndindex(piece.shape[: -self._inside]):
            rest = iter(index)
            self._write(tuple(next(rest) if isinstance(at, slice) else at for at in lead), piece[index])
