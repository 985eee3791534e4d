"""Train generators of three-dimensional point spread functions of microscopes by principal components."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..blur import microscope as optics
from ..blur import random_microscope as objectives
from ..core.errors import InputError
from ..core.image_io import check_place
from ..core.paths import exists
from ..nets.linear_gaussian import fit
from ..settings import TrainingSettings
from ..zoo.card import Card
from ..zoo.export import stored_precision, write_prior
from . import losses

SIMULATED = "microscope-3d"
SHAPE = (17, 33, 33)  # voxels: planes, rows, columns
LATENT = 40
ABOUT = (
    "volumes of widefield and confocal microscopes, NA 0.3 to 1.45, 450 to 700 nm, pixels of 50 to 400 nm, planes at "
    "0.5 to 1.5 of the axial Nyquist step, index mismatch, in focus"
)


def draw_volumes(shape: tuple[int, int, int], seed: int) -> Iterator[np.ndarray]:
    """Draw random point spread functions without end; equal seeds give equal ones.

    The middle plane is in focus. There each PSF fits into the rows and columns; the wider defocused planes of a
    widefield microscope are truncated.

    Yields
    ------
    float32 array [z, y, x], >= 0, sum 1
    """
    rng = np.random.default_rng(seed)
    while True:
        microscope = objectives.random_microscope(rng, shape[1])
        step = objectives.random_step_nm(rng, microscope)
        yield optics.microscope_psf_3d(shape=shape, step_z_nm=step, **{**vars(microscope), "defocus_um": 0.0})


def train_volumes(
    kernels: np.ndarray,
    settings: TrainingSettings,
    name: str,
    folder: Path,
    *,
    license_weights: str,
    license_data: str,
    recipe: str = "",
    overwrite: bool = False,
) -> Card:
    """Fit a linear generator to three-dimensional kernels and store it.

    Parameters
    ----------
    kernels : float32 array [N, Z, Y, X]
        Each >= 0, sum 1.
    settings : TrainingSettings
        ``arch`` must be "linear", without a refiner.
    name, folder, license_weights, license_data, recipe, overwrite
        See :func:`.loop.train`.

    Returns
    -------
    Card

    Raises
    ------
    InputError
        The architecture is not linear, or there is a finished model of that name.
    """
    if settings.arch != "linear" or settings.residual_network:
        raise InputError("Generators of volumes must be linear, without a refiner; give --arch linear.")
    if exists(folder / f"{name}.json") and not overwrite:
        raise InputError(f"There is a model {name} in {folder} already; choose another name, or give --overwrite.")
    check_place(folder / f"{name}.json")
    volumes = torch.from_numpy(kernels)[:, None]
    count = max(1, int(settings.validation_fraction * len(volumes)))
    held_out, training = volumes[:count], volumes[count:]
    net = fit(training, settings.latent or LATENT, kernel=True, seed=settings.seed)
    stored_precision(net, settings.float16, kernel=True)
    with torch.no_grad():
        decoded = net(net.encode(held_out)[0])
    _, _, depth, height, width = volumes.shape
    size = {"depth": depth, "height": height, "width": width}
    return write_prior(
        net, folder, half=settings.float16, name=name, kind="kernel", arch="linear", latent=net.latent,
        arguments={"latent": net.latent, "channels": 1, **size, "kernel": True}, distribution="normal", channels=1,
        size=(depth, height, width), output_range=(0.0, 1.0), license_weights=license_weights,
        license_data=license_data, data=f"{len(volumes)} simulated {ABOUT}; seed {settings.seed}",
        recipe=recipe or settings.model_dump_json(exclude_defaults=True),
        metrics={"relative_error_encoder": round(losses.relative_error(held_out, decoded), 3)},
    )  # fmt: skip
