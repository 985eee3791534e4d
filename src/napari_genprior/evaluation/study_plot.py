"""Plot a study as PNG: curves with the standard deviation over images, or points. Drawn with Pillow, a dependency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..core.image_io import write_atomic

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 440, 70, 20, 60, 60  # px, of a panel and its margins
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e")
DARK, PALE = "#222222", "#dddddd"
DOT = 4  # px


@dataclass(frozen=True)
class Series:
    """Points with an error bar ``spread`` each, ``joined`` by a line or not."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float]
    joined: bool = True


@dataclass(frozen=True)
class Panel:
    """One pair of axes; ``diagonal`` draws the line of equal x and y."""

    x_label: str
    y_label: str
    series: list[Series]
    diagonal: bool = False


def write_plot(path: Path, title: str, panels: list[Panel]) -> None:
    """Draw the panels side by side and write them as PNG; points that are not finite are omitted."""
    image = Image.new("RGB", (WIDTH * len(panels), HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    draw.text((LEFT, 8), title, DARK, ImageFont.load_default(15))
    for number, panel in enumerate(panels):
        _draw_panel(draw, panel, number * WIDTH)
    with write_atomic(path) as beside:
        image.save(beside, format="PNG")


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, left: int) -> None:
    font = ImageFont.load_default(12)
    low, high = _limits(panel)
    inner = np.array([WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM])

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (np.array([x, y]) - low) / (high - low) * inner
        return left + LEFT + float(across), HEIGHT - BOTTOM - float(up)

    for tick in _ticks(low[0], high[0]):
        x, _ = place(tick, low[1])
        draw.line([(x, TOP), (x, HEIGHT - BOTTOM)], PALE)
        draw.text((x, HEIGHT - BOTTOM + 6), f"{tick:g}", DARK, font, anchor="ma")
    for tick in _ticks(low[1], high[1]):
        _, y = place(low[0], tick)
        draw.line([(left + LEFT, y), (left + WIDTH - RIGHT, y)], PALE)
        draw.text((left + LEFT - 6, y), f"{tick:g}", DARK, font, anchor="rm")
    draw.rectangle([left + LEFT, TOP, left + WIDTH - RIGHT, HEIGHT - BOTTOM], outline=DARK)
    draw.text((left + LEFT + inner[0] / 2, HEIGHT - 28), panel.x_label, DARK, font, anchor="ma")
    draw.text((left + LEFT - 30, TOP - 18), panel.y_label, DARK, font)
    if panel.diagonal and max(low) < min(high):
        draw.line([place(max(low), max(low)), place(min(high), min(high))], DARK)
    legend = left + LEFT + font.getlength(panel.y_label)
    for number, series in enumerate(panel.series):
        colour = COLOURS[number % len(COLOURS)]
        _draw_series(draw, series, place, colour)
        draw.rectangle([legend, TOP - 16, legend + 10, TOP - 6], fill=colour)
        draw.text((legend + 16, TOP - 18), series.name, DARK, font)
        legend += 32 + font.getlength(series.name)


def _draw_series(draw: ImageDraw.ImageDraw, series: Series, place, colour: str) -> None:
    points = _finite(series)
    if series.joined and len(points) > 1:
        draw.line([place(x, y) for x, y, _ in points], colour, width=2)
    for x, y, spread in points:
        (across, up), (_, top), (_, bottom) = place(x, y), place(x, y + spread), place(x, y - spread)
        draw.line([(across, top), (across, bottom)], colour)
        draw.ellipse([across - DOT, up - DOT, across + DOT, up + DOT], fill=colour)


def _finite(series: Series) -> np.ndarray:
    points = np.array([series.x, series.y, series.spread], dtype=np.float64).T
    return points[np.isfinite(points).all(axis=1)]


def _limits(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Compute the limits of both axes, ``[2]`` each, with a margin around the points."""
    points = np.concatenate([_finite(series) for series in panel.series] or [np.empty((0, 3))])
    if not len(points):
        return np.zeros(2), np.ones(2)
    x, y, spread = points.T
    low, high = np.array([x.min(), (y - spread).min()]), np.array([x.max(), (y + spread).max()])
    margin = np.maximum(0.06 * (high - low), 1e-3 * np.maximum(1.0, abs(high)))
    return low - margin, high + margin


def _ticks(low: float, high: float) -> np.ndarray:
    """Choose five to ten round numbers between ``low`` and ``high``."""
    rough = (high - low) / 8
    power = 10 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return np.round(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step, 10) + 0.0  # no "-0"
