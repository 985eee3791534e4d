"""Collect the rows of a benchmark and write them as JSON, with the machine and the command that made them."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import FileError
from ..core.image_io import check_place, write_json
from ..core.version import __version__


@dataclass(frozen=True)
class Row:
    """One row of a benchmark: a method on a test set.

    The names are those of the headline table (``benchmarks/results/VERSION.json``, which has a row per metric).

    Attributes
    ----------
    set, method : str
    metrics : dict of str to float
        Values by the name of their metric, unit included ("PSNR, dB").
    side_information : str, optional
        What the method gets beside the blurred image, such as "kernel size".
    blurred, published : float, optional
        PSNR of the blurred input and best published value, in the unit of the first metric.
    images : list of dict
        One per image: its name or number, and its values.
    """

    set: str
    method: str
    metrics: Mapping[str, float]
    side_information: str | None = None
    blurred: float | None = None
    published: float | None = None
    images: list[dict[str, Any]] = field(default_factory=list)


Report = Generator[str, None, list[Row]]  # yields the lines of a table, and returns its rows


def column(images: Iterable[Mapping[str, Any]], key: str) -> np.ndarray:
    """Return one value of all images as an array ``[N]``."""
    return np.array([image[key] for image in images])


def results_file(target: Path, name: str) -> Path:
    """Return ``target`` if it ends in ``.json``, else ``target/VERSION/NAME.json`` in a new or existing folder.

    Raises
    ------
    FileError
        Nothing can be written there.
    """
    path = target
    if target.suffix != ".json":
        path = target / __version__ / f"{name}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"The folder {path.parent} cannot be created: {error.strerror or error}.") from error
    check_place(path)
    return path


def write_rows(path: Path, name: str, rows: list[Row], command: str) -> None:
    """Write the rows of the benchmark ``name`` as JSON, with command line, version, date and machine."""
    content = {
        "benchmark": name,
        "command": command,
        "version": __version__,
        "date": date.today().isoformat(),
        "machine": machine(),
        "rows": [_plain(asdict(row)) for row in rows],
    }
    write_json(path, content)


def machine() -> dict[str, Any]:
    """Describe the machine: processor, number of cores, threads in use, and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    """Return the model of the processor; Linux knows it from /proc/cpuinfo only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _plain(value: Any) -> Any:
    """Convert arrays, tuples and numpy numbers to JSON values; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value
