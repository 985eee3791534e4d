"""The methods users choose by name: which recipe, with which settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..settings import (
    ClassicalSettings,
    DecoderSettings,
    EvidenceSettings,
    GeneratorSettings,
    KnownKernelSettings,
    MultiscaleSettings,
    PatchSettings,
    ProjectSettings,
    RelaxedSettings,
    SelfDeblurSettings,
    Settings,
)
from . import Problem, Recipe
from .classical import classical, known_kernel
from .evidence import evidence
from .generator import generator, project, relaxed
from .patches import patches
from .selfdeblur import multiscale, selfdeblur
from .untrained import untrained


@dataclass(frozen=True)
class Method:
    """An entry of :data:`METHODS`."""

    name: str
    recipe: Callable[[Problem], Recipe]
    settings: type[Settings]
    summary: str
    needs_kernel: bool = False
    prefers_linear: bool = False  # a linear image prior serves better than one that is not
    untrained: bool = False  # priors are untrained networks: minutes, not seconds
    finds_kernel: bool = True
    covers: bool = False  # patches of the image prior's size cover images that are larger
    keeps_budget: bool = False  # the recipe itself ends in time, with its best; others are stopped at a snapshot


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "auto",
            classical,
            ClassicalSettings,
            "The best general method so far: at present the classical one.",
            keeps_budget=True,
        ),
        Method(
            "classical",
            classical,
            ClassicalSettings,
            "Kernel from coarse to fine with an L0 gradient prior, from many starts: seconds.",
            keeps_budget=True,
        ),
        Method(
            "known-kernel",
            known_kernel,
            KnownKernelSettings,
            "Total variation with a kernel you give.",
            needs_kernel=True,
        ),
        Method(
            "selfdeblur",
            selfdeblur,
            SelfDeblurSettings,
            "Untrained networks for image and kernel (Ren et al., CVPR 2020): minutes to hours.",
            untrained=True,
            keeps_budget=True,
        ),
        Method(
            "selfdeblur-multiscale",
            multiscale,
            MultiscaleSettings,
            "SelfDeblur from coarse to fine (Kotera et al., ICIP 2021): steadier; minutes to hours.",
            untrained=True,
            keeps_budget=True,
        ),
        Method(
            "untrained",
            untrained,
            DecoderSettings,
            "Untrained image network, pretrained kernels (algorithm 3 of Asim et al.): minutes to hours.",
            untrained=True,
            keeps_budget=True,
        ),
        Method(
            "evidence",
            evidence,
            EvidenceSettings,
            "Kernel by its evidence under an image prior, best a linear one; then a guided solve: seconds.",
            prefers_linear=True,
        ),
        Method(
            "generator",
            generator,
            GeneratorSettings,
            "Image and kernel from pretrained generators (algorithm 1 of Asim et al.): small images, seconds.",
        ),
        Method(
            "relaxed",
            relaxed,
            RelaxedSettings,
            "A free image near a pretrained generator's (algorithm 2 of Asim et al.): small images, seconds.",
        ),
        Method(
            "patches",
            patches,
            PatchSettings,
            "Overlapping patches from a pretrained generator, one kernel for all: images larger than the prior's.",
            prefers_linear=True,
            covers=True,
        ),
        Method(
            "project",
            project,
            ProjectSettings,
            "The generator's image that is closest to the blurred one: to compare with.",
            finds_kernel=False,
        ),
    )
}
