"""Make the shipped priors that need no data: ``python weights/build.py`` (about a minute)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from napari_genprior import blur
from napari_genprior.nets.linear import LinearGenerator, fit
from napari_genprior.zoo.card import Card

HERE = Path(__file__).parent
LATENT, SIDE, LENGTHS = 50, 28, (5, 28)


def shakes(count: int, seed: int) -> torch.Tensor:
    """Camera-shake kernels ``[N, 1, 28, 28]``, path lengths 5 to 28 pixels as in papers 000 and 003."""
    rng = np.random.default_rng(seed)
    kernels = [blur.shake(rng.uniform(*LENGTHS), rng, SIDE) for _ in range(count)]
    return torch.from_numpy(np.stack(kernels))[:, None]


def range_error(net: LinearGenerator, kernels: torch.Tensor) -> float:
    """Mean relative error of the decoded least-squares latents."""
    flat = kernels.flatten(1)
    z = torch.linalg.lstsq(net.basis.T, (flat - net.mean).T).solution.T
    return float(((net(z).flatten(1) - flat).norm(dim=1) / flat.norm(dim=1)).mean())


def main() -> None:
    net = fit(shakes(20_000, seed=0), LATENT, kernel=True)
    net.load_state_dict({name: tensor.half().float() for name, tensor in net.state_dict().items()})
    weights = save({name: tensor.half() for name, tensor in net.state_dict().items()})
    card = Card(
        name="motion-28-linear",
        kind="kernel",
        arch="linear",
        arguments={"latent": LATENT, "channels": 1, "height": SIDE, "width": SIDE, "kernel": True},
        latent=LATENT,
        distribution="normal",
        channels=1,
        size=(SIDE, SIDE),
        output_range=(0.0, 1.0),
        sha256=hashlib.sha256(weights).hexdigest(),
        license_weights="BSD-3-Clause",
        license_data="none needed: the kernels are simulated by this package",
        data="20,000 camera-shake kernels, path length 5 to 28 px (blur.shake), seed 0",
        recipe="python weights/build.py",
        metrics={"relative_range_error": round(range_error(net, shakes(500, seed=1)), 3)},
    )
    (HERE / f"{card.name}.safetensors").write_bytes(weights)
    (HERE / f"{card.name}.json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
