"""Large images: planes that are read, restored and written tile by tile, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..core.conversion import Conversion
from ..core.errors import InputError
from ..core.iteration import run_to_end
from ..core.lazy_io import TIFFS
from ..core.provenance import array_hash
from ..core.result import Index, Progress, Verdict
from ..core.tiled_io import open_writer
from ..core.version import __version__
from ..operators.noise import effective_noise
from ..operators.pixel_survey import describe_counts
from .device_memory import AdaptiveBatcher
from .global_statistics import GlobalStatistics
from .pieces import Outcome, Pieces, at_fraction
from .plan import Plan, output_path
from .recipe_run import Restored, run_recipe
from .restore import known_kernel_plan, known_kernel_settings
from .resume import ResumeState, resume_or_start
from .tiled_deconvolution import TileSolver, restore_in_tiles, tile_grid, tile_side
from .tiling import first_unfinished_row

SHARES = (0.05, 0.15)  # of the progress bar: the survey, the estimation of the kernel; the rest is for the tiles


class LargePieces(Pieces):
    """The tiles of a large image, or of each plane of a large stack; one kernel for all."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.dtype = np.dtype(plan.data.dtype)
        self.statistics = GlobalStatistics(self.dtype.newbyteorder("="), plan.layout.shape)
        self.batcher, self.conversion = AdaptiveBatcher(plan.device), Conversion(plan.file_dtype)
        self.state: ResumeState | None = None
        self.kernel: np.ndarray | None = None
        self.verdict: Verdict | None = None
        self.image: Any = None
        self.notes: list[str] = []
        self.tile_px = self.tiles = self.total = 0

    @property
    def batches(self) -> Sequence[Sequence[Index]]:
        return [[()]]

    def survey(self) -> Yields[Progress, None, None]:
        indices = list(np.ndindex(self.plan.layout.pieces))
        for number, index in enumerate(indices):
            for fraction in self.statistics.update(LazyPlane(self.plan.data, index), self._mask(index)):
                yield at_fraction(SHARES[0] * (number + fraction) / len(indices), "Scanning image statistics")
        if self.statistics.part is None:
            raise InputError("The image is constant; there is nothing to restore.")
        self.statistics.check_range()
        if self.path is not None:
            self.state = self.files.enter_context(resume_or_start(self.path, self._identity()))
            self.kernel, self.verdict, self.estimations = self.state.kernel, self.state.verdict, self.state.estimations
        if self.plan.kernels is not None and self.verdict is None:
            known = known_kernel_plan(self.plan)
            part, mask = self.statistics.part, self.statistics.part_mask
            assessed = run_to_end(run_recipe(known, [part], self.plan.kernels, mask=mask))
            self._keep(self.plan.kernels, assessed.verdict)

    @property
    def path(self) -> Any:
        """Where the image is written row by row; None where it stays in memory (arrays, and other file types)."""
        path = output_path(self.plan)
        return path if path is not None and path.suffix.lower() in (*TIFFS, ".zarr") else None

    def known(self, group: Index) -> bool:
        return self.verdict is not None

    def parts(self, group: Index) -> Yields[Progress, None, list[np.ndarray]]:
        assert self.statistics.part is not None
        return [self.statistics.part]
        yield

    def take(self, group: Index, estimate: Restored) -> None:
        self._keep(estimate.kernel, estimate.verdict)

    def _keep(self, kernel: np.ndarray, verdict: Verdict) -> None:
        self.kernel, self.verdict = kernel, verdict
        if self.state is not None:
            self.state.save(kernel, verdict, 0, 0)

    def while_estimating(self, group: Index, progress: Progress) -> Progress:
        return at_fraction(SHARES[0] + SHARES[1] * progress.fraction, progress.stage, progress.kernel)

    def restore(self, batch: Sequence[Index]) -> Yields[Progress, None, None]:
        assert self.kernel is not None
        assert self.verdict is not None
        layout, grid = self.plan.layout, self.kernel[None, None]
        colours = 3 if layout.axes[-1] == "S" else 1
        side = self.plan.tile_size or tile_side((self.kernel.shape[0], self.kernel.shape[1]), colours)
        height, width = layout.sides("YX")
        rows, columns = tile_grid((height, width), grid, side)
        self.tile_px, self.tiles = columns[0].read.stop, len(rows) * len(columns)
        noise = effective_noise(self.statistics.noise, kernel_given=self.plan.kernels is not None)
        settings = known_kernel_settings(self.plan.settings)
        given = self.plan.kernels is not None
        step = TileSolver(grid, noise, self.statistics.intensity, settings, given, self.verdict.rejected)
        before = (0, 0) if self.state is None else (self.state.planes, self.state.rows)
        indices = list(np.ndindex(layout.pieces))
        done, total = before[0] * self.tiles, len(indices) * self.tiles
        with self._writer() as write:
            for plane, index in list(enumerate(indices))[before[0] :]:
                stored = before[1] if plane == before[0] else 0
                top = first_unfinished_row(rows, stored)
                first, done = rows[top].kept.start, done + top * len(columns)
                source = LazyPlane(self.plan.data, index)
                for ready in restore_in_tiles(source, rows[top:], columns, step, self.batcher, self._mask(index)):
                    if ready is not None and first + len(ready) > stored:
                        safe = write(index, max(first, stored), ready[max(0, stored - first) :])
                        self._note(plane, safe)
                    first += 0 if ready is None else len(ready)
                    done += 1
                    fraction = sum(SHARES) + (1 - sum(SHARES)) * done / total
                    yield at_fraction(fraction, f"Tile {done}/{total}", self.kernel)
                self._note(plane + 1, 0)
        self.total, self.notes = (
            total,
            [describe_counts(self.statistics.counts), self.conversion.sentence, *self.batcher.notes],
        )
        if any(before):
            self.notes.append(f"Resumed a run that was killed at plane {before[0] + 1}, row {before[1]}.")

    def _mask(self, index: Index) -> Any:
        return None if self.plan.mask is None else LazyPlane(self.plan.mask, index)

    def part_mask(self, group: Index) -> np.ndarray | None:
        return self.statistics.part_mask

    def _note(self, planes: int, rows: int) -> None:
        if self.state is not None:
            assert self.kernel is not None
            assert self.verdict is not None
            self.state.save(self.kernel, self.verdict, planes, rows)

    def _writer(self) -> Any:
        """Return a context whose value writes rows of a plane, and returns how many rows of it are safe."""
        layout = self.plan.layout
        if self.path is None:
            in_memory = self.plan.out is None or output_path(self.plan) is not None
            self.image = np.empty(layout.shape, np.float32) if in_memory else self.plan.out

            def put(index: Index, first: int, rows: np.ndarray) -> int:
                self.image[(*index, slice(first, first + len(rows)))] = rows
                return first + len(rows)

            return nullcontext(put)
        part = None if self.state is None else self.state.part
        writer = open_writer(self.path, layout.shape, self.plan.file_dtype, self.plan.source, layout.axes, part)
        return _Converted(writer, self.conversion)

    def _identity(self) -> dict[str, Any]:
        """Return all that the output depends on."""
        plan, statistics = self.plan, self.statistics
        kernel = None if plan.kernels is None else array_hash(plan.kernels)
        return {
            "version": __version__,
            "input": [statistics.sha256, plan.layout.axes, list(plan.layout.shape), statistics.dtype.str],
            "method": [plan.method.name, plan.settings.model_dump(mode="json"), plan.seed, plan.time_limit_s],
            "kernel": [plan.kernel_size, kernel],
            "mask": None if plan.mask is None else array_hash(plan.mask),
            "tile": plan.tile_size,
            "file": str(plan.file_dtype),
            "device": str(plan.device),
        }

    def outcome(self) -> Outcome:
        assert self.kernel is not None
        assert self.verdict is not None
        return Outcome(
            image=self.image,
            kernels=self.kernel,
            verdict=self.verdict,
            input_sha256=self.statistics.sha256,
            status=self.overall_status(f"Completed, in {self.total} tiles.", self.notes),
            device=str(self.batcher.device),
            arguments={"tile_px": self.tile_px, "tiles_per_plane": self.tiles},
        )


class LazyPlane:
    """A plane of a lazy stack: slices of it are read when they are asked for."""

    def __init__(self, data: Any, index: Index) -> None:
        self.data, self.index = data, index
        self.shape = tuple(data.shape[len(index) :])

    def __getitem__(self, where: Any) -> np.ndarray:
        inside = where if isinstance(where, tuple) else (where,)
        read = np.asarray(self.data[(*self.index, *inside)])
        return read.astype(read.dtype.newbyteorder("="), copy=False)


class _Converted:
    """Write rows in the type of the file."""

    def __init__(self, writer: Any, conversion: Conversion) -> None:
        self._writer, self._conversion = writer, conversion

    def __enter__(self) -> Any:
        write = self._writer.__enter__()
        return lambda index, first, rows: write(index, first, self._conversion(rows))

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)
