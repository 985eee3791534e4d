"""What every recipe takes, yields and returns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from ..estimation.psf_candidates import MicroscopeConstraints
from ..operators.noise import noise_level
from ..operators.observed import Observed, observe
from ..operators.photon_noise import UNKNOWN, KnownNoise
from ..settings import Settings
from ..zoo.store import Generator as Pretrained
from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Problem:
    """What a recipe gets.

    Parameters
    ----------
    blurred : Tensor [1, C, Y, X]
        Working units (usable range about [0, 1]), on the device to use; masked pixels are filled in.
    pixels : Observed or None
        What each pixel of ``blurred`` says; None: see :func:`~..operators.observed.observe`.
    companions : Observed or None
        More images blurred by the same kernel, each in its own working units; recipes may use them.
    kernel : Tensor [1, 1, kh, kw] or None
        Given kernel, >= 0, sum 1.
    kernel_size : (int, int) or None
        Height and width of the kernel's support in pixels (odd); None: to be found.
    time_limit_s : float or None
        Seconds after which a recipe whose method says ``keeps_time_limit`` must come to its end; others are stopped.
    image_prior, kernel_prior : Generator or None
        Pretrained ones, for the methods whose settings name them, on the device to use.
    checkpoint : Checkpoint or None
        Where long recipes store their progress.
    voxel_weights : (float, float, float)
        Weights of differences along z, y, x: the shortest side of a voxel over each side. Volumes only.
    psf_constraints : MicroscopeConstraints or None
        What is known of the microscope, for a blind search in a volume.
    known_noise : KnownNoise
        What is known of the noise. Volumes only.
    """

    blurred: Tensor
    settings: Settings
    kernel: Tensor | None = None
    kernel_size: tuple[int, int] | None = None
    seed: int = 0
    time_limit_s: float | None = None
    image_prior: Pretrained | None = None
    kernel_prior: Pretrained | None = None
    pixels: Observed | None = None
    companions: Observed | None = None
    checkpoint: Checkpoint | None = None
    voxel_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    psf_constraints: MicroscopeConstraints | None = None
    known_noise: KnownNoise = UNKNOWN

    @cached_property
    def observed(self) -> Observed:
        """What each pixel of the blurred image says."""
        return observe(self.blurred) if self.pixels is None else self.pixels

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the noise, fraction of the range."""
        return noise_level(self.observed)


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
    stopped : bool
        The recipe came to its time limit before all that it had planned; image and kernel are its best so far.
    candidates : sequence of (Tensor [1, 1, kh, kw], float)
        Kernels that were compared, the selected one too, each with its cost (loss, negative log posterior): lower is
        better, only differences mean anything.
    extra_images : dict of str to Tensor [1, C, Y, X]
        More images to show, by the name their layer gets ("generator estimate"); under
        :data:`result.RESTART_STD` the standard deviation over the restarts.
    """

    image: Tensor
    kernel: Tensor
    selected: int = 0
    diverged: bool = False
    stopped: bool = False
    candidates: Sequence[tuple[Tensor, float]] = ()
    extra_images: dict[str, Tensor] = field(default_factory=dict)


Recipe = Generator[Snapshot, None, Solution]
