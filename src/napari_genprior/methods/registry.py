"""Register the methods that users choose by name: which recipe, with which settings."""

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
from . import Problem, Recipe, volumes
from .classical import classical, known_kernel
from .evidence import evidence
from .generator import generator, project, relaxed
from .patches import patches
from .selfdeblur import multiscale, selfdeblur
from .untrained import untrained


@dataclass(frozen=True)
class Method:
    """An entry of :data:`METHODS`: a recipe, its settings, and what the pipeline must know of it."""

    name: str
    recipe: Callable[[Problem], Recipe]
    settings: type[Settings]
    summary: str
    needs_kernel: bool = False
    takes_kernel: bool = True  # a given kernel is used as it is; the method still has something to do
    prefers_linear: bool = False  # a linear image prior serves better than one that is not
    untrained: bool = False  # priors are untrained networks: minutes, not seconds
    finds_kernel: bool = True
    single_only: bool = False  # no kernel that planes of a stack, or tiles, could share
    uses_patches: bool = False  # patches of the image prior's size cover images that are larger
    keeps_time_limit: bool = False  # the recipe itself ends in time, with its best; others are stopped at a snapshot
    recipe_3d: Callable[[Problem], Recipe] | None = None  # of volumes; None: planes only


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "auto",
            classical,
            ClassicalSettings,
            "Choose the best general method: at present classical; in volumes, microscope PSFs by cross-validation.",
            keeps_time_limit=True,
            recipe_3d=volumes.blind,
        ),
        Method(
            "classical",
            classical,
            ClassicalSettings,
            "Estimate the kernel from coarse to fine with an L0 gradient prior, from several starts: seconds.",
            keeps_time_limit=True,
        ),
        Method(
            "known-kernel",
            known_kernel,
            KnownKernelSettings,
            "Deconvolve with a kernel you give, by total variation.",
            needs_kernel=True,
            recipe_3d=volumes.known_kernel,
        ),
        Method(
            "selfdeblur",
            selfdeblur,
            SelfDeblurSettings,
            "Fit untrained networks for image and kernel (Ren et al., CVPR 2020): minutes to hours.",
            untrained=True,
            keeps_time_limit=True,
        ),
        Method(
            "selfdeblur-multiscale",
            multiscale,
            MultiscaleSettings,
            "Run SelfDeblur from coarse to fine (Kotera et al., ICIP 2021): more stable; minutes to hours.",
            untrained=True,
            keeps_time_limit=True,
        ),
        Method(
            "untrained",
            untrained,
            DecoderSettings,
            "Fit an untrained image network with pretrained kernels (algorithm 3 of Asim 2020): minutes to hours.",
            untrained=True,
            keeps_time_limit=True,
        ),
        Method(
            "evidence",
            evidence,
            EvidenceSettings,
            "Estimate the kernel by its evidence under an image prior, best a linear one: small images, seconds.",
            prefers_linear=True,
        ),
        Method(
            "generator",
            generator,
            GeneratorSettings,
            "Search the ranges of pretrained generators (algorithm 1 of Asim 2020): small images, seconds.",
        ),
        Method(
            "relaxed",
            relaxed,
            RelaxedSettings,
            "Find an image near a generator's range (algorithm 2 of Asim 2020): small images, seconds.",
        ),
        Method(
            "patches",
            patches,
            PatchSettings,
            "Cover a larger image by patches from a pretrained generator; one kernel for all.",
            prefers_linear=True,
            uses_patches=True,
            takes_kernel=False,
        ),
        Method(
            "project",
            project,
            ProjectSettings,
            "Project onto the generator's range (naive projection): the closest image, to compare with.",
            finds_kernel=False,
            takes_kernel=False,
            single_only=True,
        ),
    )
}
