"""Store the rows of a study in a CSV file, line by line as they are measured, and its settings in a JSON file."""

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
    """One result of a study.

    Attributes
    ----------
    image : int
        Number of the image, from 0.
    value : str
        Value of the x axis.
    truth : {"given", "range"}
        The true image, which was blurred: the given image, or the closest one in the generator's range.
    seed : int
        Seed of the search.
    psnr, ssim, mse : float
        Without alignment; ``mse`` for images in [0, 1].
    psnr_aligned : float
        PSNR at the best shift: where it is far above ``psnr``, the search ended at a shifted image.
    kernel_error : float
        ``|k - k'| / |k|`` at the best shift.
    residual : float
        Root mean square of ``y - k * x``, as a fraction of the range.
    range_psnr : float
        PSNR of the range image with respect to the given image; NaN where range images are not used.
    seconds : float
        Wall time.
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
    def description(self) -> str:
        """Human-readable description of the row."""
        return f"{self.value}, {'range image, ' if self.truth == 'range' else ''}{self.method}"

    @property
    def key(self) -> tuple[int, str, str, str]:
        """Image, value, truth and method, which identify the row."""
        return self.image, self.value, self.truth, self.method


COLUMNS = tuple(field.name for field in fields(Row))


def resume(path: Path, settings: dict[str, Any]) -> list[Row]:
    """Read the rows in ``path``, or start the file; an incomplete last line is removed.

    Raises
    ------
    InputError
        The file holds rows of other settings, or is not a file of a study.
    FileError
        The file cannot be read or written.
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
        raise InputError(f"{path} does not start with the header of a study; move it away, or give another -o.")
    return [_row(path, number, cells) for number, cells in enumerate(lines[1:], 2)]


def append(path: Path, row: Row) -> None:
    """Append a row in one write."""
    cells = [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in asdict(row).values()]
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_line(cells))
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}. The rows before are kept.") from error


def _check_settings(beside: Path, settings: dict[str, Any]) -> None:
    try:
        stored = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The settings of the rows cannot be read ({beside}: {error}); move the rows away, or give another -o."
        ) from error
    wanted = json.loads(json.dumps(settings))
    if stored != wanted:
        old = stored if isinstance(stored, dict) else {}
        name = next((n for n in {**wanted, **old} if old.get(n) != wanted.get(n)), "all")
        raise InputError(
            f"{beside.with_suffix('.csv')} holds rows of other settings ({name}: {old.get(name)} in the file, "
            f"{wanted.get(name)} requested); give another -o, or the settings of {beside.name}."
        )


def _row(path: Path, number: int, cells: list[str]) -> Row:
    try:
        whole, words = (int(cells[0]), *cells[1:4]), (int(cells[4]), *map(float, cells[5:]))
        return Row(*whole, *words)  # type: ignore[arg-type]
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}, line {number}, is not a row of a study ({error}); delete the line and repeat the command."
        ) from error


def csv_line(cells: Iterable[Any]) -> str:
    """Format a line of a CSV file, with its line break."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
