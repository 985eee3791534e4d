"""A kernel found without an image prior against the one of the best evidence."""

import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior.core.arrays import cpu_generator
from napari_genprior.core.iteration import run_to_end
from napari_genprior.methods import Problem
from napari_genprior.methods import prior_mismatch as candidate
from napari_genprior.operators.convolution import convolve
from napari_genprior.settings import EvidenceSettings

TRUE = torch.from_numpy(gp.blur.shake(9, 5, 28))[None, None]
OTHER = torch.from_numpy(gp.blur.motion(15, 120, 28))[None, None]
NONE = torch.from_numpy(gp.blur.motion(1, 0, 29)[:28, :28].copy())[None, None]


@pytest.fixture(scope="module")
def net():
    return gp.load_prior("house-numbers-32-linear").net


def contest(net, monkeypatch, sharp, kernel, challenger):
    def found(problem):
        yield
        return challenger

    monkeypatch.setattr(candidate, "kernels_from_prior", found)
    blurred = convolve(sharp, TRUE) + 0.01 * torch.randn(sharp.shape, generator=cpu_generator(12))
    problem = Problem(blurred.clamp(0, 1), EvidenceSettings.checked({}))
    return run_to_end(candidate.contest(problem, net, kernel, 0.01))


def number(net):
    return net.linear(0.6 * torch.randn(1, net.latent, generator=cpu_generator(11))).clamp(0, 1)


def winner(found):
    return found.kernels[found.against.argmin(), None]


def test_the_right_kernel_wins_against_a_wrong_one_of_the_search_by_evidence(net, monkeypatch):
    zero = torch.full((1, 3, 32, 32), 0.3)
    zero[..., 6:26, 12:20] = 0.8
    zero[..., 10:22, 15:17] = 0.3
    assert torch.equal(winner(contest(net, monkeypatch, zero, OTHER, TRUE)), TRUE)


@pytest.mark.parametrize("wrong", [OTHER, NONE])
def test_a_wrong_kernel_does_not_win_against_the_right_one(net, monkeypatch, wrong):
    found = contest(net, monkeypatch, number(net), TRUE, wrong)
    assert torch.equal(winner(found), TRUE)
    assert found.fits[0]


def test_a_prior_of_another_class_is_known_by_its_latents(net, monkeypatch):
    planes = [torch.from_numpy(blocks(32, 32, seed=seed)) for seed in range(3)]
    assert not contest(net, monkeypatch, torch.stack(planes)[None], NONE, TRUE).fits.any()


def test_of_many_candidates_those_compete_whose_images_ring_least(net, monkeypatch):
    many = torch.cat([OTHER, NONE, NONE, NONE, TRUE])
    found = contest(net, monkeypatch, number(net), OTHER, many)
    assert len(found.kernels) == 1 + candidate.CANDIDATES
    assert torch.equal(winner(found), TRUE)
