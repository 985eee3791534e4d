"""Summarize a study: means over the images, as a CSV file and as plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.image_io import write_atomic
from .study_plot import Panel, Series, write_plot
from .study_rows import Row, csv_line
from .study_table import Study

AVERAGED = ("psnr", "psnr_aligned", "ssim", "mse", "kernel_error", "residual", "range_psnr", "seconds")


@dataclass(frozen=True)
class Mean:
    """Means and standard deviations over the images of one x value, truth and method, by column."""

    value: str
    truth: str
    method: str
    count: int
    mean: dict[str, float]
    std: dict[str, float]


def means(rows: Iterable[Row], position: Callable[[str], float]) -> list[Mean]:
    """Average the rows of each method, truth and value; sorted by method, truth, and position on the x axis."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.truth, row.value), []).append(row)
    averages = []
    for method, truth, value in sorted(groups, key=lambda key: (*key[:2], position(key[2]))):
        group = groups[method, truth, value]
        columns = {name: np.array([getattr(row, name) for row in group]) for name in AVERAGED}
        averages.append(
            Mean(
                value, truth, method, len(group),
                {name: float(column.mean()) for name, column in columns.items()},
                {name: float(column.std()) for name, column in columns.items()},
            )
        )  # fmt: skip
    return averages


def write_summary(path: Path, averages: list[Mean]) -> None:
    """Write a CSV with a line per value, truth and method: mean and standard deviation of each metric."""
    names = [f"{name}_{kind}" for name in AVERAGED for kind in ("mean", "std")]
    lines = [csv_line(("value", "truth", "method", "count", *names))]
    for entry in averages:
        metrics = [f"{part[name]:.6g}" for name in AVERAGED for part in (entry.mean, entry.std)]
        lines.append(csv_line((entry.value, entry.truth, entry.method, entry.count, *metrics)))
    with write_atomic(path) as new:
        new.write_text("".join(lines), encoding="utf-8")


def sentence(mean: Mean) -> str:
    """Describe a mean in one human-readable line."""
    m = mean.mean
    projected = "" if np.isnan(m["range_psnr"]) else f", range image {m['range_psnr']:.2f} dB"
    return (
        f"{_label(mean.method, mean.truth)} at {mean.value}: {m['psnr']:.2f} dB (standard deviation "
        f"{mean.std['psnr']:.2f}), aligned {m['psnr_aligned']:.2f} dB, SSIM {m['ssim']:.3f}, squared error "
        f"{m['mse']:.3g}, kernel error {m['kernel_error']:.3f}{projected}; {mean.count} images"
    )


def write_plots(
    path: Path, title: str, study: Study, rows: list[Row], averages: list[Mean], position: Callable[[str], float]
) -> None:
    """Plot PSNR and SSIM over the x axis; for ``range-error``, the PSNR of results over that of range images."""
    if study.name == "range-error":
        write_plot(path, title, [Panel(study.axis, "PSNR (dB)", _points(rows), diagonal=True)])
        return
    panels = [
        Panel(study.axis, label, _curves(averages, name, position))
        for name, label in (("psnr", "PSNR (dB)"), ("ssim", "SSIM"))
    ]
    write_plot(path, f"{title}: mean and standard deviation", panels)


def _curves(averages: list[Mean], name: str, position: Callable[[str], float]) -> list[Series]:
    groups: dict[str, list[Mean]] = {}
    for mean in averages:
        groups.setdefault(_label(mean.method, mean.truth), []).append(mean)
    return [
        Series(label, [position(m.value) for m in group], [m.mean[name] for m in group], [m.std[name] for m in group])
        for label, group in groups.items()
    ]


def _points(rows: list[Row]) -> list[Series]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_label(row.method, row.truth), []).append(row)
    return [
        Series(label, [row.range_psnr for row in group], [row.psnr for row in group], [0] * len(group), joined=False)
        for label, group in groups.items()
    ]


def _label(method: str, truth: str) -> str:
    return f"{method}, range images" if truth == "range" else method
