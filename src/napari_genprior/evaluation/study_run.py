"""Run a study: check the request, skip the rows that exist, and measure the others one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import FileError, InputError
from ..core.image_io import as_type
from ..core.version import __version__
from ..methods.registry import METHODS
from ..metrics import kernel_error, psnr, ssim
from ..operators.convolution import convolve
from ..pipeline.front_door import deblur
from ..pipeline.plan import make_plan
from ..pipeline.request import find_method
from ..simulation import simulate
from ..zoo.store import Generator, load_prior
from .study_cases import MAXIMUM, Images, Seeds, draw_kernel, given_images, range_image, sampled_images
from .study_report import means, sentence, write_plots, write_summary
from .study_rows import Row, append, resume
from .study_table import Study

STEPS_PER_DECAY = 6  # published numbers of steps are six decay times (Asim 2018, section 4; Asim 2020, table II)
BOUNDS = {"restarts": (1, 1000), "noise": (0, 1), "length": (1, 201), "sigma": (0.1, 50)}


@dataclass(frozen=True)
class Request:
    """The options of a study; see ``genprior study NAME --help``."""

    folder: Path
    values: tuple[float, ...]
    data: Path | None
    key: str
    sample_from: str
    image_priors: tuple[str, ...]
    kernel_prior: str
    methods: tuple[str, ...]
    blur: str
    truths: tuple[str, ...]
    noise: float
    schedule: str
    steps: int | None
    restarts: int | None
    count: int
    seed: int


def lines(study: Study, request: Request) -> Iterator[str]:
    """Run a study and yield lines of progress and results.

    Rows, settings, summary and plot are written to ``request.folder``, named after the study.
    """
    run = Run(study, request)
    path = request.folder / f"{study.name}.csv"
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {request.folder} cannot be created: {error.strerror or error}.") from error
    rows = resume(path, run.identity)
    keys = list(dict.fromkeys(product(range(request.count), run.values, request.truths, request.methods)))
    known = {row.key for row in rows}
    missing = [key for key in keys if key not in known]
    about = run.images.about
    yield (
        f"{study.name}: {request.count} images {about}, values {', '.join(run.values)}; {len(keys)} rows, "
        f"{len(keys) - len(missing)} of them exist"
    )
    yield "PSNR and SSIM are without alignment, as published; aligned PSNR and kernel error are at the best shift"
    for key in missing:
        row = run.measure(*key)
        append(path, row)
        rows.append(row)
        yield f"  image {row.image}, {row.description}: {row.psnr:.2f} dB, {row.ssim:.3f}, {row.seconds:.2f} s"
    averages = means(rows, run.position)
    write_summary(path.with_name(f"{study.name}-summary.csv"), averages)
    write_plots(path.with_suffix(".png"), f"{study.name}, images {about}", study, rows, averages, run.position)
    yield f"means over images {about}:"
    for mean in averages:
        yield f"  {sentence(mean)}"
    yield f"wrote {path}, and beside it {study.name}.json, {study.name}-summary.csv, {study.name}.png"


class Run:
    """A study whose request was checked: its images, priors and values."""

    def __init__(self, study: Study, request: Request) -> None:
        self.study, self.request = study, request
        _check(study, request)
        self.priors = {prior.card.name: prior for prior in map(load_prior, request.image_priors)}
        self.kernel_prior = load_prior(request.kernel_prior)
        self.requested_names = dict(zip(self.priors, request.image_priors, strict=False))  # may be paths of cards
        if len(self.priors) < len(request.image_priors):
            raise InputError("An --image-prior is given twice; each may be given once.")
        card = self.kernel_prior.card
        if card.kind != "kernel" or len(set(card.size)) != 1 or len(card.size) != 2:
            raise InputError(f"--kernel-prior must be a prior of square kernels; {card.name} is not.")
        self.images = self._images()
        self.values = self._values()
        for method, value in product(request.methods, self.values):
            make_plan(self.images.images[0], method, **self._arguments(method, value))
        self.closest = cache(self._closest)

    @property
    def identity(self) -> dict[str, Any]:
        """Settings that all rows of a file share; further images, values, truths and methods may be added."""
        r = self.request
        return {
            "study": self.study.name,
            "version": __version__,
            "images": {"about": self.images.about, "sha256": self.images.sha256},
            "image_priors": {name: prior.card.sha256 for name, prior in self.priors.items()},
            "kernel_prior": {self.kernel_prior.card.name: self.kernel_prior.card.sha256},
            "blur": r.blur,
            "noise": None if self.study.varies == "noise" else r.noise,
            "schedule": r.schedule,
            "steps": r.steps,
            "restarts": r.restarts,
            "seed": r.seed,
        }

    def position(self, value: str) -> float:
        """Return the position of a value on the x axis."""
        return self.priors[value].card.latent if self.study.varies == "prior" else float(value)

    def measure(self, number: int, value: str, truth: str, method: str) -> Row:
        """Blur an image, deblur it, and compare the result with the true image."""
        seeds = Seeds.of(self.request.seed, number)
        given, projected = self.images.images[number], None
        if "range" in self.request.truths:
            projected = self.closest(self._prior(value).card.name, number)
        sharp = projected if truth == "range" and projected is not None else given
        varies = self.study.varies
        kernel = draw_kernel(
            varies, 0 if varies == "prior" else float(value), self.request.blur, self.kernel_prior.card.size[0],
            seeds.kernel,
        )  # fmt: skip
        noise = float(value) if varies == "noise" else self.request.noise
        simulated = simulate(sharp, kernel, noise=noise, seed=seeds.noise, boundary="circular")
        blurred = as_type(simulated.blurred, sharp.dtype)
        result = deblur(blurred, method, seed=seeds.search, **self._arguments(method, value))
        estimate = result.found  # the method is measured, not the verdict
        return Row(
            image=number,
            value=value,
            truth=truth,
            method=method,
            seed=seeds.search,
            psnr=psnr(estimate, sharp),
            psnr_aligned=psnr(estimate, sharp, align=True),
            ssim=ssim(estimate, sharp),
            mse=float(np.mean(((estimate - sharp) / MAXIMUM) ** 2)),
            kernel_error=kernel_error(result.kernel, kernel),
            residual=_residual(blurred, estimate, result.kernel),
            range_psnr=float("nan") if projected is None else psnr(projected.astype(np.float64), given),
            seconds=result.provenance.seconds,
        )

    def _images(self) -> Images:
        r, first = self.request, next(iter(self.priors.values()))
        if r.data is not None:
            return given_images(r.data, r.key, first, r.count)
        return sampled_images(r.sample_from or r.image_priors[0], r.count, r.seed)

    def _values(self) -> list[str]:
        if self.study.varies == "prior":
            return list(self.priors)
        return list(dict.fromkeys(f"{value:g}" for value in self.request.values))

    def _prior(self, value: str) -> Generator:
        return self.priors[value] if self.study.varies == "prior" else next(iter(self.priors.values()))

    def _closest(self, name: str, number: int) -> np.ndarray:
        seed = Seeds.of(self.request.seed, number).search
        return range_image(self.priors[name], self.images.images[number], seed)

    def _arguments(self, method: str, value: str) -> dict[str, Any]:
        """Return the arguments of :func:`deblur`: the varied one, and those that the method has."""
        r, fields = self.request, METHODS[method].settings.model_fields
        settings: dict[str, Any] = {"schedule": r.schedule}
        if r.schedule == "paper" and r.steps is not None:
            settings["decay_steps"] = r.steps / STEPS_PER_DECAY
        optional = {"kernel_prior": r.kernel_prior, "steps": r.steps, "restarts": r.restarts}
        varied = {"restarts": int(value)} if self.study.varies == "restarts" else {}
        return {
            "image_prior": self.requested_names[self._prior(value).card.name],
            "settings": {name: setting for name, setting in settings.items() if name in fields},
            **{name: argument for name, argument in optional.items() if name in fields},
            **varied,
        }


def _check(study: Study, r: Request) -> None:
    """Check the options that need no prior."""
    allowed = [name for name, method in METHODS.items() if "image_prior" in method.settings.model_fields]
    for name in r.methods:
        if find_method(name).name not in allowed:
            raise InputError(f"Studies need methods with an image prior ({', '.join(allowed)}); got {name!r}.")
    if len(r.image_priors) != 1 and study.varies != "prior":
        raise InputError(f"Study {study.name} takes one --image-prior; got {len(r.image_priors)}.")
    if r.data is not None and r.sample_from:
        raise InputError("Give --data or --sample-from, not both.")
    if study.varies != "prior":
        low, high = BOUNDS[study.varies]
        for value in r.values:
            if not low <= value <= high or (study.varies == "restarts" and value != int(value)):
                whole = "whole numbers " if study.varies == "restarts" else ""
                raise InputError(f"--x {value:g}: {study.name} takes {whole}from {low} to {high}.")


def _residual(blurred: np.ndarray, image: np.ndarray, kernel: np.ndarray) -> float:
    """Compute the root mean square of ``y - k * x`` (periodic boundary), as a fraction of the range."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    model = convolve(torch.from_numpy(np.ascontiguousarray(planes))[None], torch.from_numpy(kernel)[None, None])[0]
    predicted = model.numpy()[0] if image.ndim == 2 else np.moveaxis(model.numpy(), 0, -1)
    return float(np.sqrt(np.mean((blurred - predicted) ** 2)) / MAXIMUM)
