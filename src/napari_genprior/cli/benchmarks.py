"""``genprior bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .base import genprior


@genprior.group()
def bench() -> None:
    """Measure quality and speed on public test sets (give the folder of the set)."""


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--run", "runs", multiple=True, help="blurry, given, auto, true-kernel; may be repeated.  [default: all]")
@click.option("--method", default="classical", show_default=True)
@click.option("--each", is_flag=True, help="A line per image too.")
def levin(folder: Path, runs: tuple[str, ...], method: str, each: bool) -> None:
    """Levin et al. 2009: 32 photographs of real camera shake."""
    from ..evaluation import benchmark_levin as levin_bench

    for line in levin_bench.lines(folder, runs or levin_bench.RUNS, method, each):
        click.echo(line)


@bench.command("range")
@click.option("--data", "folder", type=click.Path(path_type=Path), help="Folder that holds asim_table5 and mnist.")
@click.option("--model", "models", multiple=True, help="Name or card (.json); may be repeated.  [default: all]")
@click.option(
    "--restarts", type=click.IntRange(0, 100), default=1, show_default=True, help="Random starts of a search."
)
def range_(folder: Path | None, models: tuple[str, ...], restarts: int) -> None:
    """How near each model comes to images and kernels it has not seen, and how fast it is."""
    from ..evaluation import benchmark_representation_error as range_bench

    for line in range_bench.lines(folder, models, restarts):
        click.echo(line)


@bench.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), required=True, help="Folder that holds mnist.")
@click.option("--count", type=click.IntRange(1), default=3, show_default=True, help="Images; 30 to 60 s each.")
def generator(folder: Path, count: int) -> None:
    """Seconds of the published and the fast schedules of algorithms 1 and 2, and what each finds."""
    from ..evaluation import benchmark_generator as generator_bench

    for line in generator_bench.lines(folder, count):
        click.echo(line)


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--set", "sets", multiple=True, type=click.Choice(["house-numbers", "shoes", "faces"]), help="[default: all]"
)
@click.option("--method", default="evidence", show_default=True)
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Images of each set.")
@click.option("--each", is_flag=True, help="A line per image too.")
@click.option("--kernel-prior", help="Pretrained kernel prior.  [default: the method's own]")
@click.option("--schedule", type=click.Choice(["fast", "paper"]), help="For methods that have both.")
def table5(folder: Path, sets: tuple[str, ...], **given: Any) -> None:
    """Asim et al. 2020, table V: small faces, shoes and house numbers under camera shake."""
    from ..evaluation import benchmark_asim2020 as table5_bench

    for line in table5_bench.lines(folder, sets, **given):
        click.echo(line)


def _gain_options(count: int):
    """What the benches of gains over blurry images have in common."""
    options = (
        click.option("--method", default="classical", show_default=True),
        click.option("--given/--auto", help="Tell the kernel's size, or let it be found.  [default: auto]"),
        click.option(
            "--count",
            type=click.IntRange(1, count),
            default=count,
            show_default=True,
            help="The first so many images.",
        ),
        click.option("--each", is_flag=True, help="A line per image too."),
    )

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_gain_options(20)
def lai(folder: Path, method: str, given: bool, count: int, each: bool) -> None:
    """Lai et al. 2016: kernels of 31 and 51 pixels on 20 larger images."""
    from ..evaluation import benchmark_lai as lai_bench

    for line in lai_bench.lines(folder, method, given, count, each):
        click.echo(line)


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--kernels", type=click.Path(path_type=Path), help="The Levin folder.  [default: ../levin beside FOLDER]")
@click.option("--colour/--grey", default=True, show_default=True)
@_gain_options(96)
def kodak(folder: Path, kernels: Path | None, colour: bool, method: str, given: bool, count: int, each: bool) -> None:
    """Twelve Kodak images under the eight kernels of Levin et al., 1% noise."""
    from ..evaluation import benchmark_kodak as kodak_bench

    for line in kodak_bench.lines(folder, kernels or folder.parent / "levin", method, given, not colour, count, each):
        click.echo(line)


@bench.command("batch")
@click.option("--count", type=click.IntRange(1), default=40, show_default=True, help="Images.")
def batch_(count: int) -> None:
    """What `genprior batch` costs beyond the bare solves: reading, writing, the manifest."""
    from ..evaluation import benchmark_batch as batch_bench

    for line in batch_bench.lines(count):
        click.echo(line)


@bench.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), help="The set flowdec, for the known kernel.")
@click.option("--count", type=click.IntRange(0), default=6, show_default=True, help="Synthetic volumes, blind.")
def volumes(folder: Path | None, count: int) -> None:
    """Volumes: a known kernel against Richardson-Lucy, and blind against the known kernel."""
    from ..evaluation import benchmark_volumes as volumes_bench

    for line in volumes_bench.lines(folder, count):
        click.echo(line)


@bench.command()
@click.option("--planes", type=click.IntRange(2), default=8, show_default=True, help="Planes with a known kernel.")
def stacks(planes: int) -> None:
    """Planes a second once the kernel is known, and what smoothing the kernels of frames gains."""
    from ..evaluation import benchmark_stacks as stacks_bench

    for line in stacks_bench.lines(planes):
        click.echo(line)


@bench.command()
@click.option(
    "--data", "folder", type=click.Path(path_type=Path), required=True,
    help="Folder that holds bsd400, nuclei_dsb2018, faces64 and mnist.",
)  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path), help="Put results here; those there are only judged again.")
@click.option("--count", type=click.IntRange(1), help="The first so many cases.  [default: all 571]")
@click.option("--each", is_flag=True, help="A line per case too.")
def verdict(folder: Path, keep: Path | None, count: int | None, each: bool) -> None:
    """How often each word of the verdict is right, and what the spread over restarts is worth: 3 s a case."""
    from ..evaluation import benchmark_verdict as verdict_bench

    for line in verdict_bench.lines(folder, keep, count, each):
        click.echo(line)


@bench.command("large")
@click.option("--side", type=click.IntRange(1024), default=4096, show_default=True, help="Of the image, pixels.")
@click.option("--blind", is_flag=True, help="The kernel is to be found.")
@click.option("--tile", default="auto", show_default=True, help="Pixels that a tile adds to its overlaps.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="For the files, twice the image.  [default: a temporary one]"
)
def large_(side: int, blind: bool, tile: str, folder: Path | None) -> None:
    """Peak memory and seconds of an image in tiles; --side 16384 for the one that must stay within 4 GB."""
    from ..evaluation import benchmark_large as large_bench

    for line in large_bench.lines(side, folder, blind, tile):
        click.echo(line)
