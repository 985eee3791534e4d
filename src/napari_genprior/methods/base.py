"""What every recipe takes, yields and returns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..settings import Settings
from ..zoo.store import Generator as Pretrained
from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Problem:
    """What a recipe gets.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units (usable range about [0, 1]), on the device to use.
    beside : Tensor [P, C, Y, X] or None
        More images that the same kernel blurred, each in its own working units; recipes may take them into account.
    kernel : Tensor [1, 1, kh, kw] or None
        Given kernel, >= 0, sum 1.
    kernel_size : (int, int) or None
        Height and width of the kernel's support in pixels (odd); None: to be found.
    time_limit_s : float or None
        Seconds after which a recipe whose method says ``keeps_budget`` must come to its end; others are stopped.
    image_prior, kernel_prior : Generator or None
        Pretrained ones, for the methods whose settings name them, on the device to use.
    checkpoint : Checkpoint or None
        Where recipes that take long keep how far they are.
    """

    blurred: Tensor
    settings: Settings
    kernel: Tensor | None = None
    kernel_size: tuple[int, int] | None = None
    seed: int = 0
    time_limit_s: float | None = None
    image_prior: Pretrained | None = None
    kernel_prior: Pretrained | None = None
    beside: Tensor | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Snapshot:
    """The state on the way, in working units; turned into :class:`result.Progress` by the front door."""

    step: int
    total: int
    stage: str
    image: Tensor | None = None  # [1, C, Y, X]
    kernel: Tensor | None = None  # [1, 1, kh, kw]
    losses: dict[str, Tensor] = field(default_factory=dict)  # each [R]


@dataclass(frozen=True)
class Solution:
    """What a recipe returns, in working units.

    Parameters
    ----------
    candidates : sequence of (Tensor [1, 1, kh, kw], float)
        Kernels to choose among, the taken one too, each with what speaks against it (loss, log posterior negated);
        only differences mean anything.
    extras : dict of str to Tensor [1, C, Y, X]
        More images worth a look, by the name their layer gets ("generator image"); under
        :data:`result.SPREAD` the standard deviation over the restarts.
    """

    image: Tensor
    kernel: Tensor
    chosen: int = 0
    diverged: bool = False
    candidates: Sequence[tuple[Tensor, float]] = ()
    extras: dict[str, Tensor] = field(default_factory=dict)


Recipe = Generator[Snapshot, None, Solution]
