"""Priors: the interface, seeds, and the guarantees of each."""

import pytest
import torch
from torch import nn

from napari_genprior.nets.mlp import KernelMLP
from napari_genprior.nets.skip import SkipNetwork
from napari_genprior.operators.bilinear import Convolution
from napari_genprior.operators.data_fidelity import squared_error
from napari_genprior.priors.base import trainable
from napari_genprior.priors.objective import Objective, Term, during
from napari_genprior.priors.penalties import kernel_energy, total_variation
from napari_genprior.priors.pixels import FreeImage, Known, SoftmaxKernel, start_kernel
from napari_genprior.priors.untrained import CODE, UntrainedNetwork, initial_weights


def cpu_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def skip_prior(jitter=0.0):
    return UntrainedNetwork(lambda: SkipNetwork(1, 4, 8, 2, depth=2), (4, 12, 15), jitter=jitter)


PRIORS = {
    "skip network": (skip_prior(), (1, 12, 15)),
    "kernel network": (UntrainedNetwork(lambda: KernelMLP((3, 5), 6, 8), (6,)), (1, 3, 5)),
    "free image": (FreeImage(torch.rand(1, 2, 6, 7), spread=0.1), (2, 6, 7)),
    "softmax kernel": (SoftmaxKernel(start_kernel("gaussian", (3, 5)), spread=0.1), (1, 3, 5)),
}


@pytest.mark.parametrize(("prior", "shape"), PRIORS.values(), ids=PRIORS)
def test_contract(prior, shape):
    block = prior.init(3, cpu_generator())
    decoded = prior.decode(block)
    assert decoded.shape == (3, *shape)
    assert prior.penalty(block).shape == (3,)
    assert all(tensor.is_leaf and len(tensor) == 3 for tensor in block.values())
    decoded[1].square().sum().backward()  # the other restarts must get no gradient
    for tensor in trainable(block):
        assert not tensor.grad[0].any()
        assert not tensor.grad[2].any()
    assert any(tensor.grad[1].any() for tensor in trainable(block))


@pytest.mark.parametrize(("prior", "shape"), PRIORS.values(), ids=PRIORS)
def test_initial_states_depend_on_the_random_generator_alone(prior, shape):
    before = torch.get_rng_state()
    first, again, other = (prior.init(2, cpu_generator(s)) for s in (0, 0, 1))
    alone = prior.init(1, cpu_generator(0))
    assert torch.equal(torch.get_rng_state(), before), "torch's global generator belongs to the user"
    for name in first:
        assert torch.equal(first[name], again[name])
        if isinstance(prior, UntrainedNetwork):
            assert torch.equal(first[name][:1], alone[name])
    assert not torch.equal(prior.decode(first), prior.decode(other))
    assert not torch.equal(*prior.decode(first))  # restarts differ


def test_jitter_changes_perturbed_but_not_decode():
    prior = skip_prior(jitter=1e-2)
    block, generator = prior.init(1, cpu_generator()), cpu_generator(5)
    first, second = prior.perturbed(block, generator), prior.perturbed(block, generator)
    assert not torch.equal(first, second)
    assert torch.equal(first, prior.perturbed(block, cpu_generator(5)))
    assert torch.equal(prior.decode(block), prior.decode(block))
    assert not block[CODE].requires_grad


def test_initial_weights_have_torchs_spread_and_unknown_layers_are_refused():
    weights = initial_weights(nn.Conv2d(16, 64, 3), cpu_generator())
    bound = (16 * 9) ** -0.5
    assert 0.95 * bound < weights["weight"].abs().max() <= bound
    assert weights["bias"].std() > 0
    with pytest.raises(TypeError, match="GRUCell"):
        initial_weights(nn.GRUCell(2, 2), cpu_generator())
    with pytest.raises(ValueError, match="buffers"):
        UntrainedNetwork(lambda: nn.BatchNorm2d(3), (3, 8, 8))


@pytest.mark.parametrize("kind", ["gaussian", "delta", "flat"])
@pytest.mark.parametrize("shape", [(5, 5), (1, 7), (4, 3)])
def test_a_softmax_kernel_has_the_given_initial_value(kind, shape):
    start = start_kernel(kind, shape)
    prior = SoftmaxKernel(start, floor=1e-4)
    kernel = prior.decode(prior.init(1, cpu_generator()))
    torch.testing.assert_close(kernel, start, atol=5e-3, rtol=0)
    assert kernel.min() > 0
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))
    assert kernel.flatten().argmax() == start.flatten().argmax()


def test_penalties_on_known_images():
    step = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    step[..., 3:] = 2.0  # one edge of height 2 along 4 rows
    for isotropic in (True, False):
        torch.testing.assert_close(total_variation(step, isotropic).item(), 2.0 * 4 / 24, rtol=1e-4, atol=1e-6)
        assert total_variation(torch.ones(2, 1, 4, 4), isotropic).tolist() == [0, 0]
    corner = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    corner[..., 0, 0] = 1.0
    torch.testing.assert_close(total_variation(corner).item() * 4, 2**0.5, rtol=1e-4, atol=0)
    torch.testing.assert_close(total_variation(corner, isotropic=False).item() * 4, 2.0, rtol=1e-4, atol=0)
    kernels = torch.cat([start_kernel("delta", (3, 3)), start_kernel("flat", (3, 3))])
    torch.testing.assert_close(kernel_energy(kernels), torch.tensor([1.0, 1 / 9]))


@pytest.mark.parametrize("isotropic", [True, False])
def test_penalty_gradients(isotropic):
    image = torch.rand(2, 1, 4, 5, dtype=torch.float64, generator=cpu_generator()).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total_variation(x, isotropic, epsilon=1e-2), image)
    assert torch.autograd.gradcheck(kernel_energy, image)
    flat = torch.ones(1, 1, 3, 3, requires_grad=True)
    total_variation(flat, isotropic).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_an_objective_weights_terms_by_step_and_keeps_restarts_independent():
    operator = Convolution((3, 3), (1, 8, 8), "circular")
    data = torch.rand(1, 1, 8, 8, generator=cpu_generator())
    terms = {
        "fit": Term(lambda e: squared_error(e.model, e.data), 2.0),
        "tv": Term(lambda e: total_variation(e.image), during(5, 7, weight=0.5)),
        "energy": Term(lambda e: kernel_energy(e.kernel), lambda step: 0.1 * step),  # of a known kernel: [1]
    }
    kernel = Known(start_kernel("delta", (3, 3)))
    objective = Objective(operator, data, FreeImage(data, spread=0.1), kernel, terms, cpu_generator(), restarts=3)
    assert set(objective(0)) == {"fit", "total"}
    assert set(objective(7)) == {"fit", "energy", "total"}
    losses = objective(5)
    assert losses["total"].shape == (3,)
    torch.testing.assert_close(losses["total"], 2 * losses["fit"] + 0.5 * losses["tv"] + 0.5 * losses["energy"])
    image = objective.image_block["image"]
    torch.testing.assert_close(losses["fit"], (image - data).square().mean(dim=(1, 2, 3)))
    assert trainable(objective.kernel_block) == []
    assert not objective.estimate().image.requires_grad


def test_an_objective_refuses_missing_weights_and_reserved_names():
    arguments = (Convolution((1, 1), (1, 8, 8)), torch.rand(1, 1, 8, 8), FreeImage(torch.rand(1, 1, 8, 8)))
    kernel = Known(torch.ones(1, 1, 1, 1))
    fit = Term(lambda e: squared_error(e.model, e.data), during(3))
    with pytest.raises(ValueError, match="step 0"):
        Objective(*arguments, kernel, {"fit": fit}, cpu_generator())(0)
    with pytest.raises(ValueError, match="total"):
        Objective(*arguments, kernel, {"total": fit}, cpu_generator())
