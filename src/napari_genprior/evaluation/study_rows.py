"""The rows of a study in a CSV that grows as they come, its settings in a JSON file beside it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..core.errors import FileError, InputError
from ..core.image_io import write_atomic, write_json


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes
    ----------
    image : int
        Its number, from 0.
    value : str
        Of what the study varies.
    truth : {"given", "range"}
        What was blurred, and is compared with: the image, or the closest one of the generator's range.
    seed : int
        Of the search.
    psnr, ssim, mse : float
        Not aligned; ``mse`` for images in [0, 1].
    psnr_aligned : float
        At the best shift: where it is far above ``psnr``, the search ended at a shifted image.
    kernel_error : float
        ``|k - k'| / |k|`` at the best shift.
    residual : float
        Root mean square of what image and kernel leave unexplained, as a fraction of the range.
    range_psnr : float
        Of the range image against the given one; NaN where it was not asked for.
    """

    image: int
    value: str
    truth: str
    method: str
    seed: int
    psnr: float
    psnr_aligned: float
    ssim: float
    mse: float
    kernel_error: float
    residual: float
    range_psnr: float
    seconds: float

    @property
    def what(self) -> str:
        """For a person."""
        return f"{self.value}, {'range image, ' if self.truth == 'range' else ''}{self.method}"

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What no two rows have in common."""
        return self.image, self.value, self.truth, self.method


COLUMNS = tuple(field.name for field in fields(Row))


def resume(path: Path, settings: dict[str, Any]) -> list[Row]:
    """The rows that are in ``path``, which is made ready for more; a half-written last line is taken off.

    Raises
    ------
    InputError
        The rows are of other settings, or not rows of a study.
    FileError
        Nothing can be read or written there.
    """
    beside = path.with_suffix(".json")
    if not path.exists():
        write_json(beside, settings)
        with write_atomic(path) as new:
            new.write_text(csv_line(COLUMNS), encoding="utf-8")
        return []
    _check_settings(beside, settings)
    try:
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
    except OSError as error:
        raise FileError(f"Cannot read and write {path}: {error.strerror or error}.") from error
    lines = list(csv.reader(content[:whole].decode("utf-8", "replace").splitlines()))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise InputError(f"{path} does not begin as a study's rows do; move it away, or give another -o.")
    return [_row(path, number, cells) for number, cells in enumerate(lines[1:], 2)]


def append(path: Path, row: Row) -> None:
    """Write a row at the end, at once and whole."""
    cells = [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in asdict(row).values()]
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_line(cells))
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}. The rows before are there.") from error


def _check_settings(beside: Path, settings: dict[str, Any]) -> None:
    try:
        there = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The rows have no readable settings beside them ({beside}: {error}); move them away, or give another -o."
        ) from error
    wanted = json.loads(json.dumps(settings))
    if there != wanted:
        old = there if isinstance(there, dict) else {}
        name = next((n for n in {**wanted, **old} if old.get(n) != wanted.get(n)), "all")
        raise InputError(
            f"{beside.with_suffix('.csv')} holds rows of other settings ({name}: {old.get(name)} there, "
            f"{wanted.get(name)} asked for); give another -o, or the settings of {beside.name}."
        )


def _row(path: Path, number: int, cells: list[str]) -> Row:
    try:
        whole, words = (int(cells[0]), *cells[1:4]), (int(cells[4]), *map(float, cells[5:]))
        return Row(*whole, *words)  # type: ignore[arg-type]
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}, line {number}, is not a row of a study ({error}); delete the line, and this command fills it."
        ) from error


def csv_line(cells: Iterable[Any]) -> str:
    """A line of a CSV, its end included."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
