"""One image or volume, whose recipe estimates kernel and image together."""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence

import numpy as np

from ..core.provenance import array_hash
from ..core.result import Index, Progress
from ..operators.pixel_survey import describe_counts
from .pieces import Outcome, Pieces
from .plan import Plan
from .recipe_run import Restored


class SinglePiece(Pieces):
    """A single image or volume."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.restored: Restored | None = None

    @property
    def batches(self) -> Sequence[Sequence[Index]]:
        return [[()]]

    def parts(self, group: Index) -> Yields[Progress, None, list[np.ndarray]]:
        return [self.plan.image]
        yield

    def part_mask(self, group: Index) -> np.ndarray | None:
        return self.plan.mask_of(())

    def known(self, group: Index) -> bool:
        return False  # with a given kernel, too, the recipe restores the image

    def take(self, group: Index, estimate: Restored) -> None:
        self.restored = estimate

    def restore(self, batch: Sequence[Index]) -> Yields[Progress, None, None]:
        return  # the recipe did
        yield

    def outcome(self) -> Outcome:
        assert self.restored is not None
        return Outcome(
            image=self.restored.image,
            kernels=self.restored.kernel,
            verdict=self.restored.verdict,
            input_sha256=array_hash(self.plan.image),
            status=self.restored.status.with_notes(describe_counts(self.restored.counts)),
            restored=self.restored,
        )
