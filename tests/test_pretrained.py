"""Recipes with pretrained generators, on tiny ones whose answer is known: gradients, recovery, restarts, interfaces."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.core.iteration import map_states, run_to_end
from napari_genprior.estimation.gaussian_evidence import DataView, LinearEvidence
from napari_genprior.estimation.laplace_evidence import local_generator
from napari_genprior.methods import Problem, initialization
from napari_genprior.methods.evidence import noise_level
from napari_genprior.methods.evidence_ranking import by_evidence
from napari_genprior.methods.generator import generator, project, relaxed
from napari_genprior.methods.latent_pair import Pair
from napari_genprior.methods.range_slack import profile_objective, solve_image
from napari_genprior.nets.linear_gaussian import LinearGenerator
from napari_genprior.operators.bilinear import Convolution
from napari_genprior.operators.convolution import convolve
from napari_genprior.operators.data_fidelity import censored_error, censored_std, squared_error, summed_squared_error
from napari_genprior.optim.batched_lbfgs import LbfgsState
from napari_genprior.priors.pixels import start_kernel
from napari_genprior.settings import GeneratorSettings, ProjectSettings, RelaxedSettings
from napari_genprior.zoo.export import write_prior
from napari_genprior.zoo.store import load_prior

SIDE, KERNEL_SIDE = 16, 5
FEW = {"restarts": 3, "steps": 40, "schedule": "paper"}


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(n, side, width, seed):
    """Draw random fields [n, side side] without the highest frequencies, standard deviation 1."""
    noise = torch.randn(n, side, side, generator=random(seed))
    f = torch.fft.fftfreq(side).square()
    low = torch.exp(-(f[:, None] + f[None]) * (side / width) ** 2)
    fields = torch.fft.ifft2(torch.fft.fft2(noise) * low).real
    return (fields / fields.flatten(1).std(1)[:, None, None]).flatten(1)


@pytest.fixture(scope="module")
def priors(tmp_path_factory):
    """Write two linear generators and return their paths: grey images 16x16 of 8 components, kernels 5x5 of 3."""
    folder = tmp_path_factory.mktemp("priors")
    image = LinearGenerator(8, 1, SIDE, SIDE)
    image.mean.fill_(0.5)
    image.basis.copy_(0.05 * smooth(8, SIDE, 4, seed=1))
    kernel = LinearGenerator(3, 1, KERNEL_SIDE, KERNEL_SIDE, kernel=True)
    kernel.mean.copy_(0.04 * torch.ones(KERNEL_SIDE**2))
    kernel.basis.copy_(0.015 * smooth(3, KERNEL_SIDE, 2, seed=2))
    for kind, net, side in (("image", image, SIDE), ("kernel", kernel, KERNEL_SIDE)):
        arguments = {"latent": net.latent, "channels": 1, "height": side, "width": side, "kernel": net.kernel}
        write_prior(
            net, folder, half=False, name=kind, kind=kind, arch="linear", arguments=arguments, latent=net.latent,
            distribution="normal", channels=1, size=(side, side), output_range=(0, 1), license_weights="none",
            license_data="none", data="none", recipe="none", metrics={},
        )  # fmt: skip
    return {f"{kind}_prior": str(folder / f"{kind}.json") for kind in ("image", "kernel")}


@pytest.fixture(scope="module")
def scene(priors):
    """Make an image and a kernel in the ranges, and the blurred image."""
    image, kernel = (load_prior(path) for path in priors.values())
    x = image.decode(torch.randn(1, 8, generator=random(5)))
    k = kernel.decode(torch.randn(1, 3, generator=random(6)))
    y = convolve(x, k) + 1e-3 * torch.randn(1, 1, SIDE, SIDE, generator=random(7))
    return x, k, y


def problem(priors, y, settings, **arguments):
    loaded = {field: load_prior(path) for field, path in priors.items()}
    return Problem(y, settings, **loaded, **arguments)


def run(recipe, *arguments, **more):
    snapshots = []
    return run_to_end(map_states(recipe(problem(*arguments, **more)), snapshots.append)), snapshots


@pytest.mark.slow
def test_all_three_methods_run_by_the_public_function(priors, scene):
    blurred = scene[2][0, 0].numpy()
    for method, settings in (("generator", FEW), ("relaxed", FEW), ("project", {"restarts": 1})):
        given = {"image_prior": priors["image_prior"]} if method == "project" else priors
        result = gp.deblur(blurred, method, settings=settings, **given)
        assert result.image.shape == blurred.shape
        assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
        again = gp.deblur(blurred, method, settings=settings, **given)
        np.testing.assert_array_equal(again.image, result.image)


def test_projection_is_the_closest_image_and_its_kernel_a_point(priors, scene):
    y = scene[2]
    solution, _ = run(project, {"image_prior": priors["image_prior"]}, y, ProjectSettings())
    basis = load_prior(priors["image_prior"]).net.basis
    assert ((y - solution.image).flatten() @ basis.T).abs().max() < 1e-3  # the residual is orthogonal
    assert solution.kernel[0, 0, 1, 1] == 1 == solution.kernel.sum()


def test_the_published_gradients_are_those_of_autograd():
    """Check equations 8 and 9 (with the factor 2 they drop) by unitary Fourier matrices, two-layer ReLU generators."""
    n, d = 6, 4  # pixels a side, latents
    first, second = (
        [
            torch.randn(*shape, generator=random(seed + i), dtype=torch.float64)
            for i, shape in enumerate(((9, d), (n * n, 9)))
        ]
        for seed in (0, 10)
    )
    zi, zk = (torch.randn(d, generator=random(seed), dtype=torch.float64, requires_grad=True) for seed in (20, 21))
    y = torch.rand(n * n, generator=random(22), dtype=torch.float64)
    gamma, lam = 0.3, 0.7

    def net(weights, z):
        return torch.relu(weights[1] @ torch.relu(weights[0] @ z))

    def jacobian(weights, z):
        inner = torch.diag((weights[0] @ z > 0).double()) @ weights[0]
        return torch.diag((weights[1] @ inner @ z > 0).double()) @ weights[1] @ inner

    grid = torch.arange(n, dtype=torch.float64)
    one = torch.exp(-2j * torch.pi * grid[:, None] * grid / n) / n**0.5
    f = torch.kron(one, one)  # two-dimensional, unitary
    x, k = net(first, zi), net(second, zk)
    rolled = torch.roll(k.view(n, n), (-(n // 2), -(n // 2)), (0, 1)).reshape(-1)  # the kernel's centre is its middle
    spectrum_x, spectrum_k = n * f @ x.to(f), f @ rolled.to(f)  # sqrt(pixels) = n
    residual = spectrum_k * spectrum_x - f @ y.to(f)
    back_x = (n * f.conj().T @ (residual * spectrum_k.conj())).real
    back_k = (f.conj().T @ (residual * spectrum_x.conj())).real.view(n, n)
    back_k = torch.roll(back_k, (n // 2, n // 2), (0, 1)).reshape(-1)
    by_hand = (
        2 * (jacobian(first, zi).T @ back_x + gamma * zi).detach(),
        2 * (jacobian(second, zk).T @ back_k + lam * zk).detach(),
    )

    model = Convolution((n, n), (1, n, n))(k.view(1, 1, n, n), x.view(1, 1, n, n))
    loss = summed_squared_error(model, y.view(1, 1, n, n)).sum() + gamma * zi @ zi + lam * zk @ zk
    torch.testing.assert_close(
        loss.detach(), residual.abs().square().sum() + (gamma * zi @ zi + lam * zk @ zk).detach()
    )
    for ours, hand in zip(torch.autograd.grad(loss, (zi, zk)), by_hand, strict=True):
        torch.testing.assert_close(ours, hand, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["random", "projection"])
def test_algorithm_1_estimates_image_and_kernel_in_the_ranges(priors, scene, start):
    x, k, y = scene
    settings = GeneratorSettings(
        schedule="paper", restarts=3, steps=400, learning_rate=0.05, decay_steps=100, image_initialization=start,
        image_latent_weight=1e-5, kernel_latent_weight=1e-5,
    )  # fmt: skip
    solution, snapshots = run(generator, priors, y, settings)
    assert error(solution.image, x) < 0.2 * error(y, x)
    assert error(solution.kernel, k) < 0.1 * error(start_kernel("flat", (5, 5)), k)
    assert set(snapshots[-1].losses) == {"misfit", "image ridge", "kernel ridge", "total"}
    assert solution.selected == int(snapshots[-1].losses["misfit"].argmin())
    torch.testing.assert_close(snapshots[-1].image, solution.image)
    if start == "projection":
        assert float(snapshots[0].losses["image ridge"].std()) < 1e-4  # one image for all, three kernels


@pytest.mark.slow
def test_algorithm_2_leaves_the_range_where_the_image_does(priors, scene):
    x, k, _ = scene
    spot = torch.zeros_like(x)
    spot[..., 4:7, 9:12] = 0.3
    beyond = convolve(x + spot, k)
    settings = RelaxedSettings(schedule="paper", restarts=2, steps=500, learning_rate=0.02, range_weight=1.0)
    solution, snapshots = run(relaxed, priors, beyond, settings)
    strict, _ = run(
        generator, priors, beyond, GeneratorSettings(schedule="paper", restarts=2, steps=300, learning_rate=0.05)
    )
    assert error(solution.image, x + spot) < error(strict.image, x + spot)
    assert set(snapshots[-1].losses) == {"misfit", "range misfit", "distance", "total variation", "total"}
    assert error(solution.extra_images["generator estimate"], x + spot) > error(solution.image, x + spot)


@pytest.mark.parametrize("schedule", ["paper", "fast"])
@pytest.mark.parametrize(("recipe", "settings"), [(generator, GeneratorSettings), (relaxed, RelaxedSettings)])
class TestEvery:
    def test_seeds_mean_what_they_say(self, priors, scene, recipe, settings, schedule):
        chosen = settings(**FEW | {"schedule": schedule})
        first, again, other = (run(recipe, priors, scene[2], chosen, seed=n)[0] for n in (1, 1, 2))
        assert torch.equal(first.image, again.image)
        assert torch.equal(first.kernel, again.kernel)
        assert not torch.equal(first.image, other.image)

    def test_a_known_kernel_is_not_changed(self, priors, scene, recipe, settings, schedule):
        x, k, y = scene
        solution, _ = run(recipe, priors, y, settings(**FEW | {"learning_rate": 0.05, "schedule": schedule}), kernel=k)
        assert torch.equal(solution.kernel, k)
        assert error(solution.image, x) < error(y, x)

    def test_closing_stops_it(self, priors, scene, recipe, settings, schedule):
        search = recipe(problem(priors, scene[2], settings(**FEW | {"schedule": schedule})))
        first = next(search)
        assert first.image.shape == scene[2].shape
        assert first.kernel.shape == (1, 1, KERNEL_SIDE, KERNEL_SIDE)
        assert not first.image.requires_grad
        search.close()
        with pytest.raises(StopIteration):
            next(search)

    def test_an_image_that_is_not_finite_ends_as_diverged(self, priors, scene, recipe, settings, schedule):
        solution, _ = run(recipe, priors, scene[2] * float("nan"), settings(**FEW | {"schedule": schedule}))
        assert solution.diverged


@pytest.mark.slow
def test_fast_ends_no_higher_than_the_published_steps_and_needs_fewer(priors, scene):
    y = scene[2]
    paper, published = run(
        generator, priors, y, GeneratorSettings(schedule="paper", restarts=3, steps=400, learning_rate=0.05)
    )
    fast, few = run(generator, priors, y, GeneratorSettings(restarts=3))
    assert float(few[-1].losses["total"].min()) <= float(published[-1].losses["total"].min()) * 1.02
    assert few[-1].step < 200
    assert error(fast.image, paper.image) < 0.3 * error(y, paper.image)
    assert not fast.image.requires_grad


def test_fast_relaxed_leaves_the_range_too(priors, scene):
    x, k, _ = scene
    spot = torch.zeros_like(x)
    spot[..., 4:7, 9:12] = 0.3
    solution, _ = run(relaxed, priors, convolve(x + spot, k), RelaxedSettings(restarts=3, range_weight=1.0))
    assert error(solution.image, x + spot) < error(solution.extra_images["generator estimate"], x + spot)


def test_predicted_points_replace_the_random_ones(priors, scene, monkeypatch):
    x, k, y = scene
    zi, zk = torch.randn(1, 8, generator=random(5)), torch.randn(1, 3, generator=random(6))  # the scene's own
    monkeypatch.setattr(initialization, "predicted_points", lambda problem: [(zi, zk)])
    solution, snapshots = run(
        generator, priors, y, GeneratorSettings(image_latent_weight=1e-6, kernel_latent_weight=1e-6)
    )
    assert {len(s.losses["total"]) for s in snapshots} <= {1}
    assert error(solution.image, x) < 0.1
    known, _ = run(generator, priors, y, GeneratorSettings(restarts=2), kernel=k)  # predictions are for unknown kernels
    assert torch.equal(known.kernel, k)


def test_finalists_are_ranked_by_their_evidence_not_by_their_loss(priors, scene):
    """Compare with the exact evidence of linear generators: each image is the posterior mean of its kernel."""
    y = scene[2]
    request = problem(priors, y, GeneratorSettings())
    noise, true = noise_level(y), torch.randn(1, 3, generator=random(6))
    kernels = torch.cat([torch.randn(2, 3, generator=random(8)), true])
    card, net = request.image_prior.card, request.image_prior.net
    exact = LinearEvidence(local_generator(net, torch.zeros(1, 8), card.range_error), y, DataView(8, grey=False))
    decoded = request.kernel_prior.decode(kernels)
    points = torch.cat([exact.posterior(decoded, noise)[1], kernels], 1)
    moving = torch.zeros(3, dtype=torch.bool)
    ranked = by_evidence(LbfgsState(9, points, torch.arange(3.0), moving), request, Pair(request))
    expected = kernels.square().sum(1) / 2 - exact(decoded, noise, torch.zeros(3, 2))
    torch.testing.assert_close(ranked.values, expected.sort().values, rtol=1e-3, atol=0.5)
    torch.testing.assert_close(ranked.x[0], points[2])


def test_clipped_noise_is_accounted_for(priors):
    """Clip dark images with strong noise to [0, 1]: the zeros must not lift the estimate."""
    image, kernel = (load_prior(path) for path in priors.values())
    dark = -0.45 + image.decode(0.5 * torch.randn(1, 8, generator=random(1)))
    k = kernel.decode(torch.randn(1, 3, generator=random(2)))
    y = (convolve(dark, k) + 0.3 * torch.randn(1, 1, SIDE, SIDE, generator=random(3))).clamp(0, 1)
    assert censored_std(convolve(dark, k), y) == pytest.approx(0.3, rel=0.15)
    levels = torch.linspace(-0.2, 0.6, 81)
    flat = levels.view(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE)
    aware, plain = (
        float(levels[f(flat, y).argmin()]) for f in (lambda m, d: censored_error(m, d, 0.3), summed_squared_error)
    )
    assert abs(aware - float(dark.mean())) < 0.05 < abs(plain - float(dark.mean()))


def test_strong_noise_does_not_mislead_the_free_image(priors, scene):
    x, k, _ = scene
    y = (convolve(x, k) + 0.1 * torch.randn(1, 1, SIDE, SIDE, generator=random(4))).clamp(0, 1)
    strict, free = (
        run(f, priors, y, s)[0] for f, s in ((generator, GeneratorSettings()), (relaxed, RelaxedSettings()))
    )
    assert error(free.image, x) < 1.1 * error(strict.image, x) < error(y, x)


def test_without_clipped_pixels_the_misfit_is_the_squared_error(scene):
    x, _, y = scene
    torch.testing.assert_close(
        censored_error(x, y.clamp(0.01, 0.99), 0.1), summed_squared_error(x, y.clamp(0.01, 0.99))
    )


@pytest.mark.parametrize("side", [6, 7])
def test_the_eliminated_image_is_the_optimal_one(side):
    s = RelaxedSettings(range_weight=20.0, generator_data_weight=0.7, total_variation=0.0)
    y, g, k = (
        torch.rand(*shape, generator=random(i))
        for i, shape in enumerate(((1, 2, side, side), (3, 2, side, side), (3, 1, 3, 3)))
    )
    k = k / k.sum((-2, -1), keepdim=True)

    def objective(free, variation=0.0):
        tied = s.range_weight * squared_error(free, g) + variation * total_variation(free)
        return (
            summed_squared_error(convolve(free, k), y)
            + tied
            + s.generator_data_weight * summed_squared_error(convolve(g, k), y)
        )

    def total_variation(x):
        return sum((x.roll(-1, axis) - x).abs().flatten(1).sum(1) for axis in (-2, -1))

    best = solve_image(g, k, y, s)
    torch.testing.assert_close(objective(best), profile_objective(g, k, y, s), rtol=1e-4, atol=1e-5)
    smooth = solve_image(g, k, y, s.model_copy(update={"total_variation": 0.05}))
    for other in (best, *(smooth + 0.02 * torch.randn(g.shape, generator=random(n)) for n in range(3))):
        assert (objective(smooth, 0.05) < objective(other, 0.05)).all()


def error(estimate, truth):
    return float((estimate - truth).norm())
