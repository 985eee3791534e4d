"""Stacks: planes or volumes that may share kernels, each restored as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Generator as Yields
from collections.abc import Sequence
from math import prod

import numpy as np

from ..blur.support import center_subpixel, kernel_similarity, pad_to
from ..core.checks import check_image, check_volume
from ..core.errors import ConstantError, InputError
from ..core.iteration import run_to_end
from ..core.result import Index, Progress, Status, Verdict, VerdictLabel
from ..operators.detail import detail, is_constant, most_textured_region
from ..operators.pixel_survey import describe_counts, merge_counts, without_defects
from .output import PieceOutput
from .pieces import Outcome, Pieces, with_counts
from .plan import Plan
from .recipe_run import Restored, run_recipe
from .restore import known_kernel_plan, restore_plane

SEARCH_STEPS = 20  # deconvolutions that an estimation takes as long as, for the progress bar
MAX_COMPANIONS = 4  # planes in which a kernel is estimated together, in some three times the time of one
LEAST_DETAIL = 0.1  # of the detail of the first; below it a plane adds noise


class StackPieces(Pieces):
    """The planes or volumes of a stack, grouped by the kernel they share."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        layout = plan.layout
        self.output = PieceOutput(plan, self.files)
        self.kernels: dict[Index, np.ndarray] = {}
        self.found: dict[Index, Verdict] = {}
        self.verdicts: dict[Index, Verdict] = {}
        self.volumes: list[Status] = []  # how the restoration of each ended
        self.constant: list[Index] = []
        self.counts: list[dict[str, int]] = []
        self.first: Index = ()
        self.region = (slice(None), slice(None))
        self.digest = hashlib.sha256(f"{np.dtype(plan.data.dtype).str}{layout.shape}".encode())
        self.step = self.restored = 0
        groups = list(np.ndindex(layout.groups))
        given = plan.kernels is not None
        self.total = prod(layout.pieces) + (0 if given else SEARCH_STEPS * len(groups))
        # kernels of frames are smoothed over time: all are estimated before the first is used
        together = layout.kernel_per == "frame" and not given
        self._batches = [groups] if together else [[group] for group in groups]
        if plan.kernels is not None:
            self.kernels = {group: plan.kernels[group] for group in groups}

    @property
    def batches(self) -> Sequence[Sequence[Index]]:
        return self._batches

    def parts(self, group: Index) -> Yields[Progress, None, list[np.ndarray]]:
        layout, data = self.plan.layout, self.plan.data
        details = {}
        for index in layout.members(group):
            details[index] = detail(self._sound(index))
            yield Progress(self.step, self.total, f"Scanning image statistics {list(index)}")
        textured = most_textured_pieces(details)
        if not textured:
            self.kernels[group] = np.ones((1,) * len(layout.space), np.float32)
            return []  # all constant: returned unchanged
        self.first = textured[0]
        piece = layout.take(data, self.first)
        if self.plan.is_volume:
            return [piece]
        self.region = most_textured_region(self._sound(self.first))
        others = [self._sound(index) for index in textured[1:]]
        return [piece[self.region], *(other[most_textured_region(other)] for other in others)]

    def part_mask(self, group: Index) -> np.ndarray | None:
        mask = self.plan.mask_of(self.first)
        return mask if mask is None or self.plan.is_volume else mask[self.region]

    def _sound(self, index: Index) -> np.ndarray:
        """Return a piece with the pixels that say nothing filled in."""
        return without_defects(self.plan.layout.take(self.plan.data, index), self.plan.mask_of(index))

    def take(self, group: Index, estimate: Restored) -> None:
        self.kernels[group] = center_subpixel(estimate.kernel)
        self.found[group] = estimate.verdict
        self.step += SEARCH_STEPS

    def while_estimating(self, group: Index, progress: Progress) -> Progress:
        step = self.step + round(SEARCH_STEPS * progress.fraction)
        return Progress(step, self.total, progress.stage, None, progress.kernel, progress.losses, group=group)

    def restore(self, batch: Sequence[Index]) -> Yields[Progress, None, None]:
        if len(batch) > 1:
            estimated = [group for group in batch if group in self.found]
            smooth = smooth_over_time([self.kernels[group] for group in estimated]) if estimated else []
            self.kernels |= dict(zip(estimated, smooth, strict=True))
        for group in batch:
            explained: dict[Index, bool] = {}
            for index in self.plan.layout.members(group):
                image = self._restore_piece(index, group, explained)
                self.output.put(index, image)
                self.step, self.restored = self.step + 1, self.restored + 1
                what = "Volume" if self.plan.is_volume else "Plane"
                stage = f"{what} {self.restored}/{prod(self.plan.layout.pieces)}"
                kernel = self.kernels[group]
                yield Progress(self.step, self.total, stage, image, kernel, index=index, group=group)
            self.verdicts[group] = self._verdict_of(group, explained)

    def _restore_piece(self, index: Index, group: Index, explained: dict[Index, bool]) -> np.ndarray:
        """Restore a piece, and note in ``explained`` whether its kernel explains it."""
        piece = self.plan.layout.take(self.plan.data, index)
        self.digest.update(np.ascontiguousarray(piece).data)
        if is_constant(piece):
            self.constant.append(index)
            return piece.astype(np.float32)
        if group in self.found and self.found[group].rejected:
            explained[index] = False
            return piece.astype(np.float32)
        try:
            return self._restore_with(piece, index, group, explained)
        except ConstantError:  # but for defects
            self.constant.append(index)
            return piece.astype(np.float32)

    def _restore_with(self, piece: np.ndarray, index: Index, group: Index, explained: dict[Index, bool]) -> np.ndarray:
        """Restore a piece with the kernel of its group."""
        kernel, mask = self.kernels[group], self.plan.mask_of(index)
        first = group not in self.found and not explained
        if first or self.plan.is_volume:  # of a given kernel, the first piece is assessed; of volumes, each
            recipe = run_recipe(known_kernel_plan(self.plan), [check_piece(self.plan, piece)], kernel, mask=mask)
            restored = run_to_end(recipe)
            self.counts.append(restored.counts)
            explained[index] = restored.verdict.improved
            self.volumes += [restored.status] if self.plan.is_volume else []
            if first:
                self.found[group] = restored.verdict
            return restored.image
        image, explained[index], counts = restore_plane(self.plan, piece, kernel, mask)
        self.counts.append(counts)
        return image

    def _verdict_of(self, group: Index, explained: dict[Index, bool]) -> Verdict:
        if not explained:
            return Verdict(False, "All images of this group are constant.")
        return with_counts(self.found[group], pieces=len(explained), explained=sum(explained.values()))

    def outcome(self) -> Outcome:
        if len(self.constant) == prod(self.plan.layout.pieces):
            raise InputError("All images of the stack are constant; there is nothing to restore.")
        notes = [describe_counts(merge_counts(self.counts)), self.output.conversion.sentence]
        return Outcome(
            image=self.output.image,
            kernels=gather(self.kernels, self.plan.layout.groups),
            verdict=combine(self.verdicts, len(self.constant)),
            input_sha256=self.digest.hexdigest(),
            status=self.overall_status(notes=notes, volumes=self.volumes),
            verdicts=self.verdicts,
            constant_pieces=tuple(self.constant),
        )


def check_piece(plan: Plan, piece: np.ndarray) -> np.ndarray:
    """Check a piece that was read from a stack."""
    if plan.is_volume:
        return check_volume(piece, allow_missing=True)
    return check_image(piece, "plane", allow_missing=True)


def most_textured_pieces(details: dict[Index, float]) -> list[Index]:
    """Choose the pieces in which a kernel is estimated, by their :func:`.detail`; none where all are constant."""
    best = sorted((index for index in details if details[index] >= 0), key=lambda index: -details[index])
    best = best[:MAX_COMPANIONS]
    return [index for index in best if details[index] >= LEAST_DETAIL * details[best[0]]]


def smooth_over_time(kernels: list[np.ndarray]) -> list[np.ndarray]:
    """Average the kernel of each frame with those of its neighbours, as far as they are similar.

    An estimation errs anew in each frame, while most kernels change slowly: the mean errs less. The weight of a
    neighbour is half of :func:`.kernel_similarity` with the frame's own kernel: one that jumps stays as it is.
    """
    sides = [max(k.shape[axis] for k in kernels) for axis in range(kernels[0].ndim)]
    same = [pad_to(kernel, sides) for kernel in kernels]
    smooth = []
    for t, own in enumerate(same):
        total, weight = own.astype(np.float64), 1.0
        for other in same[max(0, t - 1) : t] + same[t + 1 : t + 2]:
            share = kernel_similarity(own, other) / 2
            total, weight = total + share * other, weight + share
        smooth.append((total / weight).astype(np.float32))
    return smooth


def gather(kernels: dict[Index, np.ndarray], groups: Index) -> np.ndarray:
    """Put kernels of different sizes into one array ``[groups..., *kernel]``, centred on each other."""
    sides = tuple(max(k.shape[axis] for k in kernels.values()) for axis in range(next(iter(kernels.values())).ndim))
    return np.stack([pad_to(kernels[group], sides) for group in np.ndindex(groups)]).reshape(*groups, *sides)


def combine(verdicts: dict[Index, Verdict], constant: int) -> Verdict:
    """Return the verdict on all groups together: "improved" where each is."""
    left = f"; {constant} without any contrast left unchanged" if constant else ""
    if len(verdicts) == 1:
        only = next(iter(verdicts.values()))
        return Verdict(only.improved, f"{only.reason}{left}", only.features, only.label)
    good = sum(verdict.improved for verdict in verdicts.values())
    doubts = [f"{list(group)}: {v.reason}" for group, v in verdicts.items() if not v.improved]
    reason = f"{good} of {len(verdicts)} kernels explain their planes{left}. {' '.join(doubts[:3])}".strip()
    rejected = all(verdict.rejected for verdict in verdicts.values())
    label = VerdictLabel.REJECTED if rejected else None
    return Verdict(good == len(verdicts), reason, {"kernels": len(verdicts), "improved": good}, label)
