"""What runs over stacks and large images hand out: pieces on the way, and a result. Plain numpy, no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.axes import Layout
from ..core.result import Progress, Provenance, Status, Verdict

FORMAT = 1  # of saved results


@dataclass(frozen=True)
class StackProgress(Progress):
    """A snapshot of a run over a stack.

    ``image`` is the piece that was restored last, ``kernel`` the kernel under search or of that piece; None between.

    Parameters
    ----------
    index : tuple of int or None
        Of the piece in ``image``, along the looped axes (:class:`~.axes.Layout`); None during searches.
    group : tuple of int or None
        Of ``kernel``, as an index into :attr:`~.axes.Layout.groups`.
    """

    index: tuple[int, ...] | None = None
    group: tuple[int, ...] | None = None


@dataclass(frozen=True)
class StackResult:
    """A restored stack and its kernels.

    Parameters
    ----------
    image : float32 array
        Shape and intensity scale of the input.
    kernels : float32 array [groups..., kh, kw] (volumes: [groups..., kz, kh, kw])
        >= 0, sum 1 each; no group axis where one kernel serves all. Smaller ones are zero-padded about their centre.
    verdicts : dict
        By group, as an index into ``kernels``: the judgement of the piece in which it was searched (of a given one,
        the first piece), and in ``figures`` how many ``pieces`` there are and how many of them it has ``explained``.
    layout : Layout
        What the axes were taken for.
    blank : tuple of tuple of int
        Pieces without any contrast, which were left as they are.
    """

    image: Any
    kernels: np.ndarray
    verdicts: dict[tuple[int, ...], Verdict]
    layout: Layout
    status: Status
    provenance: Provenance
    blank: tuple[tuple[int, ...], ...] = ()

    @property
    def improved(self) -> bool:
        """Whether all kernels are to be trusted."""
        return all(verdict.improved for verdict in self.verdicts.values())

    @property
    def sentence(self) -> str:
        """What came of it, for a person."""
        good = sum(verdict.improved for verdict in self.verdicts.values())
        blank = f"; {len(self.blank)} without any contrast left as they are" if self.blank else ""
        if len(self.verdicts) == 1:
            return f"{next(iter(self.verdicts.values())).reason}{blank}"
        doubts = [f"{list(group)}: {v.reason}" for group, v in self.verdicts.items() if not v.improved]
        return f"{good} of {len(self.verdicts)} kernels explain their planes{blank}. {' '.join(doubts[:3])}".strip()

    def report(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        return {
            "format": FORMAT,
            "status": asdict(self.status),
            "axes": self.layout.axes,
            "kernels": self.layout.kernels,
            "depth": self.layout.depth,
            "kernel_axes": self.layout.own,
            "verdicts": [{"group": list(group), **asdict(verdict)} for group, verdict in self.verdicts.items()],
            "blank": [list(index) for index in self.blank],
            "provenance": asdict(self.provenance),
        }

    def save(self, path: str | Path) -> Path:
        """Write arrays and report to one ``.npz`` file; nothing half-written is left if it fails.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from ..core.image_io import write_atomic

        with write_atomic(path) as beside, beside.open("wb") as file:
            np.savez_compressed(
                file, image=self.image, kernels=self.kernels, report=np.array(json.dumps(self.report()))
            )
        return Path(path)


@dataclass(frozen=True)
class LargeResult:
    """What was made of a large image; the image itself is in the file at ``path``.

    Parameters
    ----------
    path : Path
    kernel : float32 array [kh, kw]
        >= 0, sum 1.
    verdict : Verdict
        On the part of the image with the most detail.
    tiles : (int, int)
        Rows and columns of tiles of each plane.
    """

    path: Path
    kernel: np.ndarray
    verdict: Verdict
    status: Status
    provenance: Provenance
    tiles: tuple[int, int]

    def report(self) -> dict[str, Any]:
        """Everything but the kernel, ready for JSON."""
        return {
            "status": asdict(self.status),
            "verdict": asdict(self.verdict),
            "tiles": list(self.tiles),
            "kernel_shape": list(self.kernel.shape),
            "provenance": asdict(self.provenance),
        }
