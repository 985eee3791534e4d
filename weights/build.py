"""Build the shipped models: ``python weights/build.py [NAME ...] [--data FOLDER]``.

Kernel priors need no data, image priors need the training sets in ``--data``, and initializers need the priors that
they are named after, which are built first. All models together take about 90 minutes on one core; an interrupted
build resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import framing
import numpy as np
import torch
from tqdm import tqdm

from napari_genprior.settings import TrainingSettings
from napari_genprior.training import data, kernel_simulators, psf_3d
from napari_genprior.training.kernel_initializers import initializer_task
from napari_genprior.training.loop import run
from napari_genprior.training.restorers import RestorerTask
from napari_genprior.training.tasks import GeneratorTask, Task
from napari_genprior.zoo.card import read_card
from napari_genprior.zoo.store import load_prior

HERE = Path(__file__).parent
OURS = "BSD-3-Clause"
SIMULATED = "none needed: the kernels are simulated by this package"
RESEARCH = "non-commercial research use only, as its training data"


@dataclass(frozen=True)
class Recipe:
    """The data and settings of a model: ``source`` is a kernel simulator, a framing function, or None.

    Initializers have a ``pair`` of priors. ``edges`` goes to the card: it was measured on held-out training images
    blurred by simulated camera shake.
    """

    source: str | Callable[[Path], np.ndarray] | None
    settings: dict[str, Any]
    about: str = ""
    license_weights: str = OURS
    license_data: str = SIMULATED
    count: int = 40_000
    size: int = field(default=28)
    pair: tuple[str, str] | None = None
    restorer: bool = False
    edges: float | None = None


FACES = ("5,878 faces of CelebA photographs, eyes moved to row 33", RESEARCH, "CelebA: non-commercial research use")
SHOES = (
    "8,925 catalogue photographs of shoes, and each squeezed sideways; few boots",
    RESEARCH,
    "Fashion Product Images (small): licence not verified, treated as research use",
)
NUMBERS = (
    "only 1,040 real house-number digits, each shifted, scaled and recoloured 24 times",
    RESEARCH,
    "SVHN: non-commercial use",
)
NUCLEI = ("64-pixel tiles of nuclei under fluorescence (Data Science Bowl 2018)", OURS, "CC0 (BBBC038)")
NATURAL = (
    "natural grey images, 180 px (Berkeley Segmentation Dataset)",
    RESEARCH,
    "Berkeley Segmentation Dataset: non-commercial research and education",
)
DIGITS = ("60,000 handwritten digits, MNIST training set", OURS, "CC BY-SA 3.0 (MNIST)")

VAE = {"arch": "blur-vae", "latent": 50, "rotate90": True}
RECIPES = {
    "motion-28": Recipe("shake", {**VAE, "minutes": 14}),
    "digits-28": Recipe(framing.digits, {"arch": "digit-vae", "latent": 100, "minutes": 9}, *DIGITS),
    "blur-a-28": Recipe("blur-a", {**VAE, "minutes": 3}),
    "blur-b-28": Recipe("blur-b", {**VAE, "minutes": 3}),
    "motion-linear-30": Recipe(
        "motion-linear", {"arch": "vae", "latent": 50, "size": 30, "width": 16, "minutes": 4}, size=30
    ),
    "gaussian-28": Recipe("gaussian", {**VAE, "minutes": 2}, count=10_000),
    "defocus-28": Recipe("defocus", {**VAE, "minutes": 2}, count=10_000),
    "microscope-33": Recipe("microscope", {"arch": "linear", "latent": 20}, count=6000, size=33),
    "microscope-3d": Recipe(psf_3d.SIMULATED, {"arch": "linear", "latent": 40}, count=1500),
    "house-numbers-32": Recipe(
        framing.house_numbers,
        {"arch": "house-number-vae", "latent": 100, "minutes": 10, "keep_encoder": False},
        *NUMBERS,
    ),
    "faces-64": Recipe(
        framing.faces, {"arch": "vae", "latent": 200, "flip_horizontal": True, "beta": 0.3, "minutes": 10}, *FACES
    ),
    "shoes-64": Recipe(framing.shoes, {"arch": "vae", "latent": 200, "beta": 0.3, "minutes": 8}, *SHOES),
    "nuclei-64": Recipe(
        framing.nuclei, {"arch": "vae", "latent": 100, "rotate90": True, "beta": 0.3, "minutes": 6}, *NUCLEI
    ),
    "start-digits-28-motion-28": Recipe(
        framing.digits, {"minutes": 4}, *DIGITS, count=20_000, pair=("digits-28", "motion-28")
    ),
    "start-house-numbers-32-motion-28": Recipe(
        None, {"minutes": 4}, *NUMBERS, count=20_000, pair=("house-numbers-32", "motion-28")
    ),
    "restorer": Recipe(
        framing.natural,
        {
            "minutes": 29,
            "batch": 2,
            "validation_fraction": 0.2,
            "ema_decay": 0.995,
            "validate_every": 250,
            "patience": 0,
        },
        *NATURAL,
        restorer=True,
    ),
    "start-house-numbers-32-linear-motion-28": Recipe(
        framing.house_numbers,
        {"minutes": 5, "batch": 128},
        *NUMBERS,
        count=20_000,
        pair=("house-numbers-32-linear", "motion-28"),
    ),
    "motion-28-linear": Recipe("shake", {"arch": "linear", "latent": 50}, count=20_000),
    "digits-28-linear": Recipe(framing.digits, {"arch": "linear", "latent": 150}, *DIGITS),
    "house-numbers-32-linear": Recipe(framing.house_numbers, {"arch": "linear", "latent": 300}, *NUMBERS),
    "nuclei-64-linear": Recipe(framing.nuclei, {"arch": "linear", "latent": 300}, *NUCLEI),
    "faces-64-linear": Recipe(framing.faces, {"arch": "linear", "latent": 512, "flip_horizontal": True}, *FACES),
    "shoes-64-linear": Recipe(framing.shoes, {"arch": "linear", "latent": 1000}, *SHOES, edges=0.6),
}


def simulated(name: str, recipe: Recipe, settings: TrainingSettings) -> data.Images:
    """Draw the kernels of the simulator ``name`` that a recipe needs."""
    array = np.stack(list(islice(kernel_simulators.draw_kernels(name, recipe.size, settings.seed), recipe.count)))[
        :, None
    ]
    about = f"{recipe.count} kernels: {kernel_simulators.SIMULATED[name][1]}; seed {settings.seed}"
    return data.split(array, "kernel", about, held_out=settings.validation_fraction, seed=settings.seed, turn=True)


def framed(recipe: Recipe, settings: TrainingSettings, folder: Path) -> data.Images:
    """Read and frame the training images of a recipe."""
    assert callable(recipe.source)
    array = np.ascontiguousarray(np.moveaxis(recipe.source(folder), -1, 1))
    return data.split(array, "image", recipe.about, held_out=settings.validation_fraction, seed=settings.seed)


def task_of(recipe: Recipe, settings: TrainingSettings, folder: Path, out: Path) -> Task:
    """Make the training task of a recipe."""
    if recipe.pair is not None:
        image, kernel = (load_prior(out / f"{name}.json") for name in recipe.pair)
        images = framed(recipe, settings, folder) if recipe.source else None
        return initializer_task(image)(image, kernel, settings, images, simulated("shake", recipe, settings))
    if recipe.restorer:
        return RestorerTask(framed(recipe, settings, folder), settings)
    if isinstance(recipe.source, str):
        return GeneratorTask(simulated(recipe.source, recipe, settings), settings)
    return GeneratorTask(framed(recipe, settings, folder), settings)


def build(name: str, folder: Path, out: Path, threads: int) -> None:
    """Train the model ``name`` on the data in ``folder`` and write it to ``out``."""
    recipe = RECIPES[name]
    settings = TrainingSettings.checked(recipe.settings)
    torch.set_num_threads(threads)
    card_text = {
        "license_weights": recipe.license_weights, "license_data": recipe.license_data,
        "recipe": f"python weights/build.py {name}", "overwrite": True,
    }  # fmt: skip
    if recipe.source == psf_3d.SIMULATED:
        kernels = islice(psf_3d.draw_volumes(psf_3d.SHAPE, settings.seed), recipe.count)
        card = psf_3d.train_volumes(np.stack(list(tqdm(kernels, total=recipe.count))), settings, name, out, **card_text)
        tqdm.write(f"{name}: {card.metrics}")
        return
    running = run(task_of(recipe, settings, folder, out), name, out, **card_text)
    with tqdm(total=1.0, desc=name, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}") as bar:
        while True:
            try:
                bar.update(next(running).fraction - bar.n)
            except StopIteration as end:
                tqdm.write(f"{name}: {end.value.card.metrics}, {end.value.reason}")
                break
    if recipe.edges is not None:
        path = out / f"{name}.json"
        card = read_card(path).model_copy(update={"edges": recipe.edges})
        path.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Build the models named on the command line, by default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], help="names of models; by default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the training sets")
    parser.add_argument("--out", type=Path, default=HERE, help="output folder")
    parser.add_argument("--threads", type=int, default=1, help="number of threads")
    arguments = parser.parse_args()
    for name in arguments.names or RECIPES:
        build(name, arguments.data, arguments.out, arguments.threads)


if __name__ == "__main__":
    main()
