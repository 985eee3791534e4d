"""List the input files of a batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from ..core.errors import InputError
from ..core.image_io import READABLE
from ..core.lazy_io import is_zarr
from ..core.paths import absolute, exists, is_folder

Sources = str | Path | Iterable[str | Path]


def find_inputs(sources: Sources, output: Path) -> list[Path]:
    """List the files that folders, globs and names stand for, as absolute paths, each once.

    Globs skip the files in ``output``. Missing files are listed: each of them fails on its own.

    Raises
    ------
    InputError
        A folder or glob matches no images, or an input lies in ``output``.
    """
    inputs: dict[Path, None] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = without_dots(source)
        if is_folder(path) and not is_zarr(path):
            matches = [each for each in sorted(path.iterdir()) if _is_image(each)]
        elif not exists(path) and has_magic(str(source)):
            every = map(Path, sorted(glob(str(path), recursive=True)))  # noqa: PTH207 (the pattern is absolute)
            matches = [each for each in every if _is_image(each) and not _lies_in(each, output)]
        else:
            matches = [path]
        if not matches:
            raise InputError(f"{source} holds no images; readable are {', '.join(READABLE)}.")
        inputs.update(dict.fromkeys(matches))
    inside = next((path for path in inputs if _lies_in(path, output)), None)
    if inside is not None:
        raise InputError(f"{inside} lies in the output folder; inputs are never overwritten. Give another folder.")
    if not inputs:
        raise InputError("No files were given; give files, folders or globs.")
    return list(inputs)


def without_dots(path: str | Path) -> Path:
    """Resolve ``..`` but not links: a result has the name that the user sees."""
    return Path(os.path.normpath(Path(path).absolute()))


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return (suffix in READABLE and path.is_file()) or (suffix == ".zarr" and path.is_dir())


def _lies_in(path: Path, folder: Path) -> bool:
    return absolute(path).is_relative_to(absolute(folder))
