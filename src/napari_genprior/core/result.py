"""The one class of result, and what it is made of. Plain numpy, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from .errors import InputError
from .kernel_map import draw_kernel_map
from .layout import Layout
from .result_file import load_parts, report_of, save_result
from .run_records import (
    History,
    Index,
    Progress,
    Provenance,
    Status,
    StatusCode,
    Verdict,
    VerdictLabel,
    warn_renamed,
)

__all__ = [
    "GENERATOR_ESTIMATE",
    "REJECTED_ESTIMATE",
    "RESTART_STD",
    "Candidate",
    "DeblurResult",
    "History",
    "Index",
    "Progress",
    "Provenance",
    "Status",
    "StatusCode",
    "Verdict",
    "VerdictLabel",
]

Candidate = tuple[np.ndarray, float]  # a kernel and its cost; lower is better, only differences mean anything

RESTART_STD = "restart std"  # an extra image: grey, standard deviation over restarts in the input's units
GENERATOR_ESTIMATE = "generator estimate"  # an extra image: the closest image in the generator's range
REJECTED_ESTIMATE = "rejected estimate"  # an extra image: the estimate, where the verdict rejects it


@dataclass(frozen=True)
class DeblurResult:
    """A restored image, stack or volume, and its kernels.

    Parameters
    ----------
    image : float32 array, or None
        Shape and intensity scale of the input, never clipped to its type. Pieces whose verdict is "no improvement"
        are the input's. What was given as ``out``; None where a stack or large image was written to a path.
    kernels : float32 array [groups..., (kz,) kh, kw]
        Each >= 0, of sum 1, its centre at pixel ``(kh // 2, kw // 2)``. No group axes where one kernel serves all;
        [rows, columns, kh, kw] where the blur varies over the image. Smaller ones are zero-padded about their centre.
    verdict : Verdict
        Of all together.
    verdicts : dict of tuple of int to Verdict
        By group, where there are several kernels; ``features`` then hold how many ``pieces`` there are, and how many
        of them the kernel has ``explained``.
    selected : int
        Which restart or candidate was taken.
    extra_images : dict of str to float32 array
        What else a method shows, in the input's units: images like ``image``, and under :data:`RESTART_STD` [Y, X].
        Under :data:`REJECTED_ESTIMATE` the estimate that the verdict rejects.
    candidates : tuple of (float32 array, float)
        Kernels that were compared, the selected one too, each with its cost (lower is better).
    layout : Layout or None
        What the axes of the input mean.
    constant_pieces : tuple of tuple of int
        Pieces of a stack without any contrast, which are returned unchanged.
    path : Path or None
        Where the image was written.
    """

    image: Any
    kernels: np.ndarray
    verdict: Verdict
    history: History
    status: Status
    provenance: Provenance
    selected: int = 0
    extra_images: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    verdicts: dict[Index, Verdict] = field(default_factory=dict)
    layout: Layout | None = None
    constant_pieces: tuple[Index, ...] = ()
    path: Path | None = None

    def __repr__(self) -> str:
        """Return shapes, method, seconds and verdict; arrays are not printed."""
        image = f"image written to {self.path}" if self.image is None else f"image {_shape(self.image)}"
        run = f"{self.provenance.method}, {self.provenance.seconds:.1f} s"
        return f"<DeblurResult: {image}, kernels {_shape(self.kernels)}; {run}; {self.sentence}>"

    @property
    def kernel(self) -> np.ndarray:
        """The kernel, float32 [(kz,) kh, kw]; the first of several."""
        sides = 2 if self.layout is None else len(self.layout.space)
        return self.kernels.reshape(-1, *self.kernels.shape[-sides:])[0]

    @property
    def found(self) -> Any:
        """The estimate, whatever the verdict."""
        return self.extra_images.get(REJECTED_ESTIMATE, self.image)

    @property
    def improved(self) -> bool:
        """Whether the verdict, or that of every kernel, is "improved"."""
        return self.verdict.improved

    @property
    def sentence(self) -> str:
        """The verdict as one sentence."""
        return self.verdict.sentence

    @property
    def kernel_map(self) -> np.ndarray:
        """The kernels of a spatially varying blur drawn at their places: float32 [Y, X], each with maximum 1."""
        if self.layout is None or self.provenance.arguments.get("tiles") is None:
            raise InputError("Only results of tiles=(rows, columns) have a map of kernels; see result.kernels.")
        height, width = self.layout.sides("YX")
        return draw_kernel_map(self.kernels, (height, width))

    def report(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON."""
        return report_of(self)

    def save(self, path: str | Path) -> Path:
        """Write arrays and report to one ``.npz`` file; nothing half-written is left if it fails.

        Raises
        ------
        InputError
            The path does not end in ``.npz``; images are written by the argument ``out`` of ``deblur``.
        FileError
            The file cannot be written.
        """
        return save_result(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileError
            The file is missing, damaged, or not a saved result.
        """
        return cls(**load_parts(path))

    @property
    def chosen(self) -> int:
        """Deprecated name of :attr:`selected`."""
        warn_renamed("result.chosen", "result.selected")
        return self.selected

    @property
    def layers(self) -> dict[str, np.ndarray]:
        """Deprecated name of :attr:`extra_images`."""
        warn_renamed("result.layers", "result.extra_images")
        return self.extra_images

    @property
    def rivals(self) -> tuple[Candidate, ...]:
        """Deprecated name of :attr:`candidates`."""
        warn_renamed("result.rivals", "result.candidates")
        return self.candidates


def _shape(array: Any) -> str:
    """Return the shape of an array, such as ``96x96x3``."""
    return "x".join(map(str, array.shape))
