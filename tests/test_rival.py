"""Ranking of prior-free kernels together with the kernel of the best evidence."""

import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.iteration import run_to_end
from napari_genprior.methods import Problem, prior_mismatch
from napari_genprior.operators.convolution import convolve
from napari_genprior.settings import EvidenceSettings

TRUE = torch.from_numpy(gp.blur.shake(9, 5, 28))[None, None]
OTHER = torch.from_numpy(gp.blur.motion(15, 120, 28))[None, None]
NONE = torch.from_numpy(gp.blur.motion(1, 0, 29)[:28, :28].copy())[None, None]


@pytest.fixture(scope="module")
def net():
    return gp.load_prior("house-numbers-32-linear").net


def ranked(net, monkeypatch, sharp, kernel, prior_free):
    def kernels_from_prior(problem):
        yield
        return prior_free

    monkeypatch.setattr(prior_mismatch, "kernels_from_prior", kernels_from_prior)
    blurred = convolve(sharp, TRUE) + 0.01 * torch.randn(sharp.shape, generator=cpu_generator(12))
    problem = Problem(blurred.clamp(0, 1), EvidenceSettings.checked({}))
    return run_to_end(prior_mismatch.rank_with_prior_free(problem, net, kernel, 0.01))


def number(net):
    return net.linear(0.6 * torch.randn(1, net.latent, generator=cpu_generator(11))).clamp(0, 1)


def best_kernel(ranking):
    return ranking.kernels[ranking.costs.argmin(), None]


def test_a_right_prior_free_kernel_ranks_above_a_wrong_one_of_the_search_by_evidence(net, monkeypatch):
    zero = torch.full((1, 3, 32, 32), 0.3)
    zero[..., 6:26, 12:20] = 0.8
    zero[..., 10:22, 15:17] = 0.3
    assert torch.equal(best_kernel(ranked(net, monkeypatch, zero, OTHER, TRUE)), TRUE)


@pytest.mark.parametrize("wrong", [OTHER, NONE])
def test_a_wrong_prior_free_kernel_ranks_below_the_right_one(net, monkeypatch, wrong):
    ranking = ranked(net, monkeypatch, number(net), TRUE, wrong)
    assert torch.equal(best_kernel(ranking), TRUE)
    assert ranking.fits[0]


def test_a_prior_of_another_class_is_detected_by_its_latents(net, monkeypatch):
    planes = [torch.from_numpy(blocks(32, 32, seed=seed)) for seed in range(3)]
    assert not ranked(net, monkeypatch, torch.stack(planes)[None], NONE, TRUE).fits.any()


def test_the_prior_free_kernels_whose_images_ring_least_are_ranked(net, monkeypatch):
    many = torch.cat([OTHER, NONE, NONE, NONE, TRUE])
    ranking = ranked(net, monkeypatch, number(net), OTHER, many)
    assert len(ranking.kernels) == 1 + prior_mismatch.MAX_CANDIDATES
    assert torch.equal(best_kernel(ranking), TRUE)
