"""Blur that varies over the image: a kernel for each of a grid of tiles, restoration in windows between them.

The model is ``y = sum_i k_i * (w_i x)``, windows ``w_i`` that sum to 1 [1]_, here with windows so small that in each of
them one kernel, interpolated linearly between the four around, serves for all.

.. [1] M. Hirsch, S. Sra, B. Schoelkopf, S. Harmeling, "Efficient filter flow for space-variant multiframe blind
   deconvolution", CVPR 2010.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..blur.support import center_subpixel, pad_to
from ..core.checks import check_image
from ..core.iteration import run_to_end
from ..core.provenance import array_hash
from ..core.result import Index, Progress, Verdict
from ..operators.detail import detail, most_textured_region
from ..operators.noise import effective_noise, noise_level
from ..operators.pixel_survey import describe_counts
from .device_memory import AdaptiveBatcher
from .kernel_field import choose_kernels, smooth_kernels, split_tiles
from .observe import observe_piece
from .pieces import Outcome, Pieces, at_fraction
from .plan import Plan
from .recipe_run import Restored, run_recipe
from .restore import known_kernel_plan, known_kernel_settings
from .tiled_deconvolution import TileSolver, restore_in_tiles, tile_grid, tile_side

WHOLE: Index = ()  # the group of the kernel of the whole image, which says how large those of the tiles are
SHARES = (0.14, 0.56)  # of the progress bar: the kernel of the whole image, those of the tiles; the rest restores
ROOM = 1.4  # size of the tiles' kernels over that of the whole image


class VaryingPieces(Pieces):
    """The tiles of an image whose blur varies over it."""

    def __init__(self, plan: Plan) -> None:
        assert plan.tiles is not None
        array = check_image(np.asarray(plan.data), allow_missing=True)
        super().__init__(replace(plan, data=array))
        piece = observe_piece(array, plan.settings, torch.device("cpu"), plan.mask_of(()))
        self.array, self.scale, self.counts = array, piece.intensity, piece.survey.counts
        self.sound = piece.sound
        self.tiles = split_tiles(self.sound, plan.tiles)
        self.details = {place: detail(tile) for place, tile in self.tiles.items()}
        self.noise = effective_noise(noise_level(piece.observed), kernel_given=plan.kernels is not None)
        self.common: np.ndarray | None = None
        self.sides: tuple[int, int] = (1, 1)
        self.own: dict[Index, np.ndarray] = {}
        self.batcher = AdaptiveBatcher(plan.device)
        self.kernels = plan.kernels
        self.strips: list[np.ndarray] = []
        self.verdict: Verdict | None = None

    @property
    def batches(self) -> Sequence[Sequence[Index]]:
        textured = [place for place in self.tiles if self.details[place] > 0]
        return [[WHOLE]] if self.plan.kernels is not None else [[WHOLE], textured]

    def parts(self, group: Index) -> Yields[Progress, None, list[np.ndarray]]:
        return [self.sound[most_textured_region(self.sound)] if group == WHOLE else self.tiles[group]]
        yield

    def plan_of(self, group: Index) -> Plan:
        if group == WHOLE or "kernel_prior" in self.plan.priors:  # a kernel prior has a size of its own
            return self.plan
        return replace(self.plan, kernel_size=self.sides)

    def take(self, group: Index, estimate: Restored) -> None:
        kernel = center_subpixel(estimate.kernel)
        if group != WHOLE:
            assert self.common is not None
            self.own[group] = pad_to(kernel, self.common.shape)
            return
        if self.plan.kernel_size is not None:
            self.sides = self.plan.kernel_size
        else:  # the blur of other tiles may be wider, and turned
            room = min(min(tile.shape[:2]) for tile in self.tiles.values()) // 2
            side = min(round(ROOM * max(estimate.kernel.shape)), room - 1) | 1
            self.sides = (side, side)
        self.common = pad_to(kernel, [max(n, k) for n, k in zip(self.sides, kernel.shape, strict=True)])

    def while_estimating(self, group: Index, progress: Progress) -> Progress:
        if group == WHOLE:
            stage = f"Kernel of the whole image: {progress.stage}"
            return at_fraction(SHARES[0] * progress.fraction, stage, progress.kernel)
        number = list(self.tiles).index(group)
        fraction = SHARES[0] + SHARES[1] * (number + progress.fraction) / len(self.tiles)
        return at_fraction(fraction, f"Kernel {number + 1}/{len(self.tiles)}", progress.kernel, group=group)

    def restore(self, batch: Sequence[Index]) -> Yields[Progress, None, None]:
        if self.plan.kernels is None:
            if list(batch) == [WHOLE] and len(self.batches) > 1:
                return  # those of the tiles come next
            assert self.common is not None
            chosen = choose_kernels(self.tiles, self.own, self.common, self.scale, self.noise)
            self.kernels = smooth_kernels(chosen, self.details)
        assert self.kernels is not None
        sides = (self.kernels.shape[-2], self.kernels.shape[-1])
        rows, columns = tile_grid((self.array.shape[0], self.array.shape[1]), self.kernels, tile_side(sides))
        settings, given = known_kernel_settings(self.plan.settings), self.plan.kernels is not None
        step = TileSolver(self.kernels, self.noise, self.scale, settings, given)
        begun = 0.0 if self.plan.kernels is not None else sum(SHARES)
        total = len(rows) * len(columns)
        strips = restore_in_tiles(self.array, rows, columns, step, self.batcher, self.plan.mask_of(()))
        for number, ready in enumerate(strips, 1):
            if ready is not None:
                self.strips.append(ready)
            yield at_fraction(begun + (1 - begun) * number / total, f"Tile {number}/{total}")
        best = max(self.tiles, key=lambda place: self.details[place])
        known = run_recipe(known_kernel_plan(self.plan), [self.tiles[best]], self.kernels[best])
        self.verdict = run_to_end(known).verdict

    def outcome(self) -> Outcome:
        assert self.kernels is not None
        assert self.verdict is not None
        return Outcome(
            image=np.concatenate(self.strips),
            kernels=self.kernels,
            verdict=self.verdict,
            input_sha256=array_hash(self.array),
            status=self.overall_status(notes=[describe_counts(self.counts), *self.batcher.notes]),
            device=str(self.batcher.device),
        )
