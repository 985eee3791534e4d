"""Bilinear problems: known answers come back, bad input is refused in a sentence, documents and examples hold."""

import re
import runpy
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

import napari_genprior as gp
from napari_genprior.core.errors import InputError
from napari_genprior.nets.linear_gaussian import LinearGenerator
from napari_genprior.operators.bilinear import Convolution, Pointwise

ROOT = Path(__file__).parents[1]


class Coarse(Convolution):
    """A user's own: blur, then a camera of twice the pixel."""

    def __call__(self, kernel, image):
        return avg_pool2d(super().__call__(kernel, image), 2)


OPERATORS = {
    "pointwise": Pointwise((1, 16, 16), (2, 16, 16)),
    "circular": Convolution((5, 5), (1, 16, 16)),
    "valid": Convolution((5, 5), (2, 20, 20), "valid"),
    "own": Coarse((5, 5), (1, 24, 24)),
}


def plane(latent, shape, seed, mean=0.5):
    """A linear generator of random images around a mean in [0, ``mean``]."""
    random = torch.Generator().manual_seed(seed)
    net = LinearGenerator(latent, *shape)
    net.mean.copy_(mean * torch.rand(net.mean.shape, generator=random))
    net.basis.copy_(0.3 * latent**-0.5 * torch.randn(net.basis.shape, generator=random))
    return net


def problem(operator, seed=0, mean=0.5):
    """Priors of image and kernel, a truth in their ranges, and its data: ``(data, priors, image, kernel)``."""
    priors = plane(12, operator.image_shape, seed, mean), plane(5, operator.kernel_shape, seed + 1, mean)
    random = torch.Generator().manual_seed(seed + 2)
    image, kernel = (prior(torch.randn(1, prior.latent, generator=random)) for prior in priors)
    return operator(kernel, image)[0].numpy(), priors, image[0].numpy(), kernel[0].numpy()


def error(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_what_lies_in_both_ranges_comes_back_exactly(operator):
    data, priors, image, kernel = problem(operator)
    found = gp.solve_bilinear(operator, data, *priors, restarts=5, ridge=0)
    assert error(found.image, image) < 1e-3
    assert error(found.kernel, kernel) < 1e-3
    with torch.no_grad():
        for prior, latent, decoded in zip(
            priors, (found.image_latent, found.kernel_latent), (found.image, found.kernel), strict=True
        ):
            np.testing.assert_allclose(prior(torch.from_numpy(latent)[None])[0], decoded, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_ranges_through_zero_leave_a_factor_which_the_ridge_makes_even(operator):
    data, priors, image, kernel = problem(operator, mean=0.0)
    found = gp.solve_bilinear(operator, data, *priors, restarts=5, ridge=1e-3)
    factor = (found.image * image).sum() / (image**2).sum()  # of either sign
    assert error(found.image / factor, image) < 0.02  # what the ridge costs
    assert error(found.kernel * factor, kernel) < 0.02
    assert np.linalg.norm(found.image_latent) == pytest.approx(np.linalg.norm(found.kernel_latent), rel=1e-2)


@pytest.mark.slow
def test_noise_is_weighed_against_the_latents():
    operator = OPERATORS["circular"]
    data, priors, image, _ = problem(operator)
    noisy = data + 0.1 * np.random.default_rng(0).standard_normal(data.shape)
    errors = [error(gp.solve_bilinear(operator, noisy, *priors, ridge=ridge).image, image) for ridge in (0, 0.1**2)]
    assert errors[1] < errors[0]


class Wells(torch.nn.Module):
    """One latent with two minima of unlike depth against data of 1: near z = -1 (0.8) and z = 1 (1)."""

    latent = 1

    def forward(self, z):
        return (1 - (z**2 - 1) ** 2 - 0.1 * (1 - z))[:, :, None, None].expand(-1, 1, 8, 8)


def test_the_least_residual_of_all_restarts_wins():
    operator = Pointwise((1, 8, 8), (1, 8, 8))
    one = plane(1, (1, 8, 8), 0)
    one.mean.fill_(1.0)
    one.basis.zero_()
    found = gp.solve_bilinear(operator, np.ones((1, 8, 8)), Wells(), one, ridge=0)
    assert found.residuals.shape == (10,)
    assert found.selected == found.residuals.argmin()
    assert found.residuals.min() < 0.05 < 0.15 < found.residuals.max()
    assert found.image_latent[0] == pytest.approx(1, abs=0.1)
    assert error(found.image, np.ones((1, 8, 8))) == pytest.approx(found.residuals.min(), abs=1e-5)


def test_colours_share_a_shading_and_loaded_priors_are_taken():
    prior = gp.load_prior("motion-28-linear")
    operator = Pointwise((1, 28, 28), (3, 28, 28))
    data, (image_prior, _), _, _ = problem(operator)
    found = gp.solve_bilinear(operator, torch.from_numpy(data), image_prior, prior, restarts=2, steps=3)
    assert found.image.shape == (3, 28, 28)
    assert found.kernel.sum() == pytest.approx(1, abs=1e-4)
    assert found.kernel_latent.shape == (prior.card.latent,)
    assert found.steps == 3


def test_the_same_seed_gives_the_same_answer_and_another_starts_elsewhere():
    operator = OPERATORS["valid"]
    data, priors, _, _ = problem(operator)
    first, again, other = (gp.solve_bilinear(operator, data, *priors, steps=5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.residuals, again.residuals)
    assert not np.array_equal(first.residuals, other.residuals)


def test_it_shows_the_best_so_far_and_is_cancelled_by_closing():
    operator = OPERATORS["circular"]
    data, priors, _, _ = problem(operator)
    asked = []

    class Counted(Convolution):
        def __call__(self, kernel, image):
            asked.append(len(image))
            return super().__call__(kernel, image)

    search = gp.iter_solve_bilinear(Counted((5, 5), (1, 16, 16)), data, *priors, ridge=0)
    seen = list(islice(search, 4))
    search.close()
    count = len(asked)
    assert [best.steps for best in seen] == [1, 2, 3, 4]
    assert seen[-1].residuals.min() < seen[0].residuals.min()
    assert list(search) == []
    assert len(asked) == count


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data": np.ones((16, 16))}, r"The data have shape \(16, 16\); the operator makes \(1, 16, 16\)"),
        ({"data": np.full((1, 16, 16), np.nan)}, "The data hold 256 NaN or infinite values"),
        ({"data": np.zeros((1, 16, 16))}, "zero everywhere"),
        ({"data": np.ones((1, 16, 16), complex)}, "complex128; integers or floats"),
        ({"image_prior": plane(3, (1, 8, 8), 0)}, r"image_prior decodes to \(1, 8, 8\); the operator needs \(1, 16, 1"),
        ({"kernel_prior": plane(3, (1, 8, 8), 0)}, r"kernel_prior decodes to \(1, 8, 8\); the operator needs \(1, 5, "),
        ({"image_prior": "digits-28"}, "image_prior must be a loaded prior .* got str"),
        ({"kernel_prior": torch.nn.Linear(5, 25)}, "an attribute latent, .* got Linear"),
        ({"restarts": 0}, "restarts and steps must be 1 or more"),
        ({"ridge": float("nan")}, "ridge finite"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_refused_in_a_sentence(change, sentence):
    operator = OPERATORS["circular"]
    data, (image_prior, kernel_prior), _, _ = problem(operator)
    arguments = {"data": data, "image_prior": image_prior, "kernel_prior": kernel_prior} | change
    with pytest.raises(InputError, match=sentence):
        gp.solve_bilinear(operator, **arguments)


def test_an_operator_that_mixes_restarts_or_is_nowhere_defined_is_refused():
    class Mixed(Pointwise):
        def __call__(self, kernel, image):
            return (kernel * image).sum(0, keepdim=True)

    class Undefined(Pointwise):
        def __call__(self, kernel, image):
            return kernel * image / 0

    for kind, sentence in [(Mixed, "keep the first axis"), (Undefined, "at every start")]:
        operator = kind((1, 16, 16), (1, 16, 16))
        data, priors, _, _ = problem(Pointwise((1, 16, 16), (1, 16, 16)))
        with pytest.raises(InputError, match=sentence):
            gp.solve_bilinear(operator, data, *priors)


@pytest.mark.slow
def test_the_shading_example_improves_its_image(tmp_path, capsys, monkeypatch):
    figure = tmp_path / "shading.png"
    monkeypatch.setattr(sys, "argv", ["shading.py", "-o", str(figure)])
    runpy.run_path(str(ROOT / "examples" / "shading.py"), run_name="__main__")
    before, after = map(float, re.findall(r"([\d.]+) dB", capsys.readouterr().out))
    assert after > before + 10
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_shading_example_takes_an_installed_prior(capsys, monkeypatch):
    installed = [card.name for card in gp.list_priors() if card.kind == "image" and card.arch == "linear"]
    if not installed:
        pytest.skip("no linear image prior is installed")
    monkeypatch.setattr(sys, "argv", ["shading.py", "--prior", installed[0]])
    runpy.run_path(str(ROOT / "examples" / "shading.py"), run_name="__main__")
    before, after = map(float, re.findall(r"([\d.]+) dB", capsys.readouterr().out))
    assert after > before + 3


@pytest.mark.slow
def test_the_example_of_an_own_operator_is_exact():
    script = ROOT / "examples" / "own_operator.py"
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    errors = [float(text) for text in re.findall(r"(?:image|kernel) ([\d.e-]+)", run.stdout)]
    assert len(errors) == 2
    assert max(errors) < 1e-3
