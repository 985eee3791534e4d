"""Define ``genprior bench``: measure quality and speed on public test sets."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .base import PATH, genprior
from .command_text import command_text

if TYPE_CHECKING:
    from ..evaluation.benchmark_report import Report

PER_IMAGE = click.option("--per-image", is_flag=True, help="Print a line per image too.")


@genprior.group()
def bench() -> None:
    """Measure quality and speed on public test sets, whose folders you give."""


def benchmark(name: str) -> Callable[[Callable[..., Report]], click.Command]:
    """Make a command of a function that starts a benchmark: print its lines, and write its rows with ``--json``."""

    def decorate(function: Callable[..., Report]) -> click.Command:
        @click.option(
            "--json", "json_target", type=PATH, metavar="FILE_OR_FOLDER",
            help="Write the results as JSON: to FILE.json, or to FOLDER/VERSION/NAME.json.",
        )  # fmt: skip
        @click.pass_context
        @wraps(function)
        def command(context: click.Context, json_target: Path | None, **options: Any) -> None:
            from ..evaluation.benchmark_report import results_file, write_rows

            path = results_file(json_target, name) if json_target else None
            report = function(**options)
            while True:
                try:
                    click.echo(next(report))
                except StopIteration as end:
                    rows = end.value
                    break
            if path:
                write_rows(path, name, rows, command_text(context, without=("json_target",)))
                click.echo(f"wrote {path}")

        return bench.command(name)(command)

    return decorate


@benchmark("levin")
@click.argument("folder", type=PATH)
@click.option(
    "--protocol", "protocols", multiple=True,
    type=click.Choice(["blurred", "size-given", "size-estimated", "true-kernel"]),
    help="Input of the method beside the image; `blurred` scores the input.  May be repeated.  [default: all]",
)  # fmt: skip
@click.option("--method", default="classical", show_default=True, help="Name of a method.")
@PER_IMAGE
def levin(folder: Path, protocols: tuple[str, ...], method: str, per_image: bool) -> Report:
    """Deblur the 32 photographs of real camera shake of Levin et al. 2009."""
    from ..evaluation import benchmark_levin

    return benchmark_levin.lines(folder, protocols or benchmark_levin.PROTOCOLS, method, per_image)


@benchmark("representation-error")
@click.option("--data", "folder", type=PATH, help="Folder that holds asim_table5 and mnist.")
@click.option("--model", "models", multiple=True, help="Name or card (.json); may be repeated.  [default: all]")
@click.option(
    "--restarts", type=click.IntRange(0, 100), default=1, show_default=True, help="Random restarts of a projection."
)
def representation_error(folder: Path | None, models: tuple[str, ...], restarts: int) -> Report:
    """Measure the representation error of each prior on unseen images and kernels, and its speed."""
    from ..evaluation import benchmark_representation_error

    return benchmark_representation_error.lines(folder, models, restarts)


@benchmark("generator")
@click.option("--data", "folder", type=PATH, required=True, help="Folder that holds mnist.")
@click.option(
    "--count", type=click.IntRange(1), default=3, show_default=True, help="Number of images; 30 to 60 s each."
)
def generator(folder: Path, count: int) -> Report:
    """Compare the published and the fast schedules of algorithms 1 and 2: seconds and PSNR."""
    from ..evaluation import benchmark_generator

    return benchmark_generator.lines(folder, count)


@benchmark("asim2020")
@click.argument("folder", type=PATH)
@click.option(
    "--set", "sets", multiple=True, type=click.Choice(["house-numbers", "shoes", "faces"]),
    help="Image set; may be repeated.  [default: all]",
)  # fmt: skip
@click.option("--method", default="evidence", show_default=True, help="Name of a method.")
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Number of images of each set.")
@PER_IMAGE
@click.option("--kernel-prior", help="Pretrained kernel prior.  [default: the method's own]")
@click.option("--schedule", type=click.Choice(["fast", "paper"]), help="Schedule, for methods that have both.")
def asim2020(folder: Path, sets: tuple[str, ...], **options: Any) -> Report:
    """Reproduce table V of Asim et al. 2020: small faces, shoes and house numbers under camera shake."""
    from ..evaluation import benchmark_asim2020

    return benchmark_asim2020.lines(folder, sets, **options)


def _gain_options(count: int) -> Callable:
    """Add the options that all benchmarks of gains over blurred images share."""
    options = (
        click.option("--method", default="classical", show_default=True, help="Name of a method."),
        click.option(
            "--size-given/--size-estimated", help="Give the method the kernel's size.  [default: size-estimated]"
        ),
        click.option(
            "--count", type=click.IntRange(1, count), default=count, show_default=True,
            help="Number of images, from the first.",
        ),
        PER_IMAGE,
    )  # fmt: skip

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@benchmark("lai")
@click.argument("folder", type=PATH)
@_gain_options(20)
def lai(folder: Path, method: str, size_given: bool, count: int, per_image: bool) -> Report:
    """Deblur 20 images of Lai et al. 2016, with kernels of 31 and 51 pixels."""
    from ..evaluation import benchmark_lai

    return benchmark_lai.lines(folder, method, size_given, count, per_image)


@benchmark("kodak")
@click.argument("folder", type=PATH)
@click.option("--kernels", type=PATH, help="Folder of the Levin set.  [default: ../levin beside FOLDER]")
@click.option("--colour/--grey", default=True, show_default=True, help="Use the images in colour or in grey.")
@_gain_options(96)
def kodak(
    folder: Path, kernels: Path | None, colour: bool, method: str, size_given: bool, count: int, per_image: bool
) -> Report:
    """Deblur twelve Kodak images under the eight kernels of Levin et al., with 1% noise."""
    from ..evaluation import benchmark_kodak

    kernel_folder = kernels or folder.parent / "levin"
    return benchmark_kodak.lines(folder, kernel_folder, method, size_given, not colour, count, per_image)


@benchmark("denoise")
@click.argument("folder", type=PATH)
@click.option("--model", type=PATH, metavar="CARD", help="Card (.json) of a denoiser.  [default: the installed one]")
@PER_IMAGE
def denoise(folder: Path, model: Path | None, per_image: bool) -> Report:
    """Measure the denoiser on grey images with noise of 2.5, 5, 15, 25 and 50 of 255."""
    from ..evaluation import benchmark_denoise

    return benchmark_denoise.lines(folder, model, per_image)


@benchmark("batch")
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Number of images.")
def batch(count: int) -> Report:
    """Measure the overhead of `genprior batch`: reading, writing, the manifest."""
    from ..evaluation import benchmark_batch

    return benchmark_batch.lines(count)


@benchmark("volumes")
@click.option("--data", "folder", type=PATH, help="Folder of the flowdec set, for the known kernel.")
@click.option(
    "--count", type=click.IntRange(0), default=6, show_default=True, help="Number of simulated volumes, blind."
)
def volumes(folder: Path | None, count: int) -> Report:
    """Compare known-kernel deconvolution of volumes with Richardson-Lucy, and blind with known-kernel."""
    from ..evaluation import benchmark_volumes

    return benchmark_volumes.lines(folder, count)


@benchmark("microscopy")
@click.option(
    "--part", "parts", multiple=True, default=("known",), show_default=True,
    type=click.Choice(["known", "plain", "noise", "wrong-psf", "blind", "speed"]),
    help="Table: volumes with a known PSF, thin objects in one plane, noise alone, wrong PSFs, unknown PSFs, seconds "
    "and memory.  May be repeated.",
)  # fmt: skip
@click.option("--data", "folder", type=PATH, help="Folder of the flowdec set, for the part known.")
@click.option("--count", type=click.IntRange(1), help="Number of volumes or images of a part.  [default: all]")
@click.option(
    "--size", type=click.Choice(["full", "small"]), default="full", show_default=True, help="Size of the volumes."
)
def microscopy(parts: tuple[str, ...], folder: Path | None, count: int | None, size: str) -> Report:
    """Compare deconvolution of simulated microscopy with what microscopists use."""
    from ..evaluation import benchmark_microscopy

    return benchmark_microscopy.lines(parts, folder, size, count)


@benchmark("stacks")
@click.option(
    "--planes", type=click.IntRange(2), default=8, show_default=True, help="Number of planes with a known kernel."
)
def stacks(planes: int) -> Report:
    """Measure the planes a second with a known kernel, and the gain of kernels regularized over time."""
    from ..evaluation import benchmark_stacks

    return benchmark_stacks.lines(planes)


@benchmark("verdict")
@click.option(
    "--data", "folder", type=PATH, required=True, help="Folder that holds bsd400, nuclei_dsb2018, faces64 and mnist."
)
@click.option("--cache", type=PATH, help="Folder that keeps the results; those in it are only assessed again.")
@click.option("--count", type=click.IntRange(1), help="Number of cases, from the first.  [default: all 571]")
@PER_IMAGE
def verdict(folder: Path, cache: Path | None, count: int | None, per_image: bool) -> Report:
    """Measure how often the verdict is right, and the coverage of the uncertainties: 3 s a case."""
    from ..evaluation import benchmark_verdict

    return benchmark_verdict.lines(folder, cache, count, per_image)


@benchmark("inputs")
@click.option("--count", type=click.IntRange(1), default=2000, show_default=True, help="Number of combinations.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first combination.")
@click.option("--photos", type=PATH, help="Folder of photographs, as more scenes.  [default: the package's sample]")
@click.option("--only", type=click.IntRange(0), metavar="SEED", help="Run one combination, then without its faults.")
@PER_IMAGE
def inputs(count: int, seed: int, photos: Path | None, only: int | None, per_image: bool) -> Report:
    """Combine defects, margins, offsets, data types and kernel faults, and count the harm: 0.5 s each, blind 10 s."""
    from ..evaluation import benchmark_inputs

    return benchmark_inputs.lines(count, seed, photos, only, per_image)


@benchmark("large")
@click.option("--side", type=click.IntRange(1024), default=4096, show_default=True, help="Side of the image in pixels.")
@click.option("--blind", is_flag=True, help="Estimate the kernel instead of giving it.")
@click.option("--tile", default="auto", show_default=True, help="Tile size in pixels without overlaps, or `auto`.")
@click.option("--folder", type=PATH, help="Folder for files of twice the image's size.  [default: a temporary one]")
def large(side: int, blind: bool, tile: str, folder: Path | None) -> Report:
    """Measure peak memory and seconds of deblurring in tiles; use --side 16384 for the target of 4 GB."""
    from ..evaluation import benchmark_large

    return benchmark_large.lines(side, folder, blind, tile)


for _old_name, _command in (("table5", asim2020), ("range", representation_error)):  # names before 0.1
    _alias = copy(_command)
    _alias.hidden, _alias.deprecated = True, f"Use `genprior bench {_command.name}`."
    bench.add_command(_alias, _old_name)
