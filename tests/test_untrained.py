"""Algorithm 3: the initial fit, the learning rates, and the result."""

from dataclasses import replace

import pytest
import torch

from images import blocks
from napari_genprior.methods import Problem
from napari_genprior.methods.untrained import untrained
from napari_genprior.nets.dcgan_decoder import Decoder
from napari_genprior.operators.convolution import convolve
from napari_genprior.settings import DecoderSettings
from napari_genprior.settings import untrained as constants
from napari_genprior.zoo.store import load_prior


def blurred_blocks(side=48):
    prior = load_prior("motion-28")
    with torch.no_grad():
        kernel = prior.decode(torch.randn(1, prior.card.latent, generator=torch.Generator().manual_seed(1)))
    sharp = torch.from_numpy(blocks(side + 27, side + 27))[None, None]
    return convolve(sharp, kernel, "valid"), sharp[..., 13:-14, 13:-14], kernel, prior


def run(blurred, prior=None, kernel=None, seed=0, **settings):
    settings = {"steps": 8, "report_every": 4} | settings
    recipe = untrained(Problem(blurred, DecoderSettings(**settings), kernel, seed=seed, kernel_prior=prior))
    snapshots = []
    while True:
        try:
            snapshots.append(next(recipe))
        except StopIteration as end:
            return end.value, [
                snapshot for snapshot in snapshots if snapshot.losses
            ]  # without those of the initial fit


@pytest.mark.slow
def test_the_initial_image_is_the_blurred_one_and_the_losses_fall(monkeypatch):
    monkeypatch.setattr(constants, "FIRST_FIT_STEPS", 150)
    monkeypatch.setitem(constants.DECODER, "paper", replace(constants.DECODER["paper"], width=8))
    blurred, _, _, prior = blurred_blocks(side=32)
    solution, snapshots = run(blurred, prior, schedule="paper", steps=12)
    assert (snapshots[0].image - blurred).square().mean() < 0.05 * blurred.var()
    assert [s.step for s in snapshots] == [0, 4, 8, 12]
    assert set(snapshots[0].losses) == {"misfit", "kernel ridge", "total variation", "total"}
    assert snapshots[-1].losses["total"] < snapshots[0].losses["total"]
    assert solution.image.shape == blurred.shape
    assert solution.kernel.shape == (1, 1, 28, 28)
    assert solution.extra_images == {}


@pytest.mark.slow
def test_with_the_true_kernel_it_sharpens(monkeypatch):
    monkeypatch.setattr(constants, "FIRST_FIT_STEPS", 50)
    blurred, sharp, kernel, _ = blurred_blocks(side=40)
    solution, _ = run(blurred, kernel=kernel, steps=100, report_every=300)
    assert torch.equal(solution.kernel, kernel)
    assert (solution.image - sharp).square().mean() < 0.5 * (blurred - sharp).square().mean()


@pytest.mark.slow
def test_seeds_and_the_final_deconvolution(monkeypatch):
    monkeypatch.setattr(constants, "FIRST_FIT_STEPS", 5)
    blurred, _, _, prior = blurred_blocks(side=32)
    colour = torch.cat([blurred, blurred.flip(-1), 1 - blurred], dim=1)
    first, second, other = (run(colour, prior, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == first.extra_images["network image"].shape == colour.shape


def test_closing_stops_it(monkeypatch):
    monkeypatch.setattr(constants, "FIRST_FIT_STEPS", 5)
    blurred, _, _, prior = blurred_blocks(side=32)
    recipe = untrained(Problem(blurred, DecoderSettings(steps=8), kernel_prior=prior))
    assert next(recipe).kernel.shape == (1, 1, 28, 28)
    recipe.close()
    with pytest.raises(StopIteration):
        next(recipe)


@pytest.mark.parametrize("size", [(8, 8), (35, 61), (64, 64), (75, 40)])
def test_the_decoder_makes_images_of_any_size(size):
    image = Decoder(3, size, latent=10, width=4, widest=16)(torch.randn(1, 10))
    assert image.shape == (1, 3, *size)
    assert image.min() > 0
    assert image.max() < 1
