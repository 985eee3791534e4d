"""Where restored pieces go: a new array, an array of the caller's, or a file in the input's type."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from ..core.conversion import Conversion
from ..core.result import Index
from ..core.tiled_io import RowWriter, open_writer
from .plan import Plan, output_path


class PieceOutput:
    """Take the pieces of a stack, in any order for arrays, in that of the file for files.

    Parameters
    ----------
    plan : Plan
    files : ExitStack
        Closes the file; it is there only once all went well.

    Attributes
    ----------
    image : array-like or None
        What the pieces were put into; None where that is a file.
    conversion : Conversion
        To the data type of the file.
    """

    def __init__(self, plan: Plan, files: ExitStack) -> None:
        self._layout, self.conversion = plan.layout, Conversion(plan.file_dtype)
        self.image: Any = None
        self._write: RowWriter | None = None
        path = output_path(plan)
        if path is None:
            self.image = np.empty(plan.layout.shape, np.float32) if plan.out is None else plan.out
        else:
            writer = open_writer(path, plan.layout.shape, plan.file_dtype, plan.source, plan.layout.axes)
            self._write = files.enter_context(writer)

    def put(self, index: Index, piece: np.ndarray) -> None:
        """Store the piece at ``index``."""
        if self._write is None:
            self._layout.put(self.image, index, piece)
        else:
            target = _Planes(self._write, self.conversion, 3 if self._layout.axes.endswith("S") else 2)
            self._layout.put(target, index, piece)


class _Planes:
    """Take a piece as an array would, and write it plane by plane."""

    def __init__(self, write: RowWriter, conversion: Conversion, inside: int) -> None:
        self._write, self._conversion, self._inside = write, conversion, inside

    def __setitem__(self, where: tuple[int | slice, ...], piece: np.ndarray) -> None:
        lead = where[: -self._inside]
        for index in np.ndindex(piece.shape[: -self._inside]):
            rest = iter(index)
            place = tuple(next(rest) if isinstance(at, slice) else at for at in lead)
            self._write(place, 0, self._conversion(piece[index]))
