"""What a study found: means over the images, as a CSV and as plots."""

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
    """Means and standard deviations over the images of one value, truth and method, by column."""

    value: str
    truth: str
    method: str
    count: int
    mean: dict[str, float]
    std: dict[str, float]


def means(rows: Iterable[Row], position: Callable[[str], float]) -> list[Mean]:
    """Sorted by method, truth, and the value's position on the axis."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.truth, row.value), []).append(row)
    found = []
    for method, truth, value in sorted(groups, key=lambda key: (*key[:2], position(key[2]))):
        group = groups[method, truth, value]
        columns = {name: np.array([getattr(row, name) for row in group]) for name in AVERAGED}
        found.append(
            Mean(
                value, truth, method, len(group),
                {name: float(column.mean()) for name, column in columns.items()},
                {name: float(column.std()) for name, column in columns.items()},
            )
        )  # fmt: skip
    return found


def write_summary(path: Path, found: list[Mean]) -> None:
    """One line per value, truth and method: mean and standard deviation of each figure."""
    names = [f"{name}_{kind}" for name in AVERAGED for kind in ("mean", "std")]
    lines = [csv_line(("value", "truth", "method", "count", *names))]
    for entry in found:
        figures = [f"{part[name]:.6g}" for name in AVERAGED for part in (entry.mean, entry.std)]
        lines.append(csv_line((entry.value, entry.truth, entry.method, entry.count, *figures)))
    with write_atomic(path) as new:
        new.write_text("".join(lines), encoding="utf-8")


def sentence(mean: Mean) -> str:
    """A line for a person."""
    m = mean.mean
    near = "" if np.isnan(m["range_psnr"]) else f", range image {m['range_psnr']:.2f} dB"
    return (
        f"{_label(mean.method, mean.truth)} at {mean.value}: {m['psnr']:.2f} dB (spread {mean.std['psnr']:.2f}), "
        f"aligned {m['psnr_aligned']:.2f} dB, SSIM {m['ssim']:.3f}, squared error {m['mse']:.3g}, "
        f"kernel error {m['kernel_error']:.3f}{near}; {mean.count} images"
    )


def write_plots(
    path: Path, title: str, study: Study, rows: list[Row], found: list[Mean], position: Callable[[str], float]
) -> None:
    """PSNR and SSIM over the axis; of ``range-error``, the PSNR of each image over that of its range image."""
    if study.name == "range-error":
        write_plot(path, title, [Panel(study.axis, "PSNR (dB)", _points(rows), diagonal=True)])
        return
    panels = [
        Panel(study.axis, label, _curves(found, name, position))
        for name, label in (("psnr", "PSNR (dB)"), ("ssim", "SSIM"))
    ]
    write_plot(path, f"{title}: mean and spread", panels)


def _curves(found: list[Mean], name: str, position: Callable[[str], float]) -> list[Series]:
    groups: dict[str, list[Mean]] = {}
    for mean in found:
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
