"""The benchmark of representation errors: each prior is measured on its sets, and the metrics are right."""

import numpy as np
import pytest
import torch

from napari_genprior.cli import main
from napari_genprior.evaluation import benchmark_representation_error as range_bench
from napari_genprior.nets.linear_gaussian import LinearGenerator, fit
from napari_genprior.zoo import store
from napari_genprior.zoo.export import write_prior

ABOUT = {
    "arch": "linear", "distribution": "normal", "output_range": (0.0, 1.0), "license_weights": "none",
    "license_data": "none", "data": "none", "recipe": "none", "metrics": {"psnr_range_db": 20.0},
}  # fmt: skip


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two sets of images, and installed priors, one of which represents an image up to an offset."""
    models, sets = tmp_path / "models", tmp_path / "sets"
    (sets / "asim_table5").mkdir(parents=True)
    models.mkdir()
    images = np.random.default_rng(0).integers(20, 230, (3, 16, 16, 3), dtype=np.uint8)
    np.savez(sets / "asim_table5" / "celeba.npz", x_orig=images, w_true=np.full((2, 28, 28), 1 / 784))

    def install(name, net, kind="image", **more):
        shape = dict(zip(("channels", "height", "width"), net.shape, strict=True))
        arguments = {"latent": net.latent, **shape, "kernel": net.kernel}
        write_prior(
            net, models, half=False, name=name, kind=kind, arguments=arguments, latent=net.latent,
            channels=net.shape[0], size=net.shape[1:], **{**ABOUT, **more},
        )  # fmt: skip

    offset = LinearGenerator(1, 3, 16, 16)
    offset.mean.copy_(torch.from_numpy(images[0]).movedim(-1, 0).flatten() / 255 + 10 / 255)
    install("faces-64-tiny", offset)
    install("unheard-of", offset)
    kernels = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    install("motion-tiny", fit(kernels / kernels.sum((2, 3), keepdim=True), 3, kernel=True), "kernel")
    monkeypatch.setattr(store, "folders", lambda: [models])
    monkeypatch.setattr(range_bench, "COUNT", 8)
    return sets, images


def test_metrics_are_those_of_the_projected_image(world):
    sets, images = world
    (error,) = range_bench.representation_errors(store.load_prior("faces-64-tiny"), sets)
    squares = (images[0].astype(float) + 10 - images) ** 2
    assert error.psnr == pytest.approx(np.mean([10 * np.log10(255**2 / square.mean()) for square in squares]), abs=1e-3)
    assert 0 < error.ssim < 1
    assert error.published_db == 24.38
    assert error.count == 3


def test_kernel_priors_are_measured_on_new_kernels_and_those_of_the_authors(world):
    sets, _ = world
    simulated, authors = range_bench.representation_errors(store.load_prior("motion-tiny"), sets)
    assert (simulated.measured_on, simulated.count) == ("new shake kernels", 4)
    assert 0.1 < simulated.error < 2
    assert authors.count == 2
    assert authors.error < 0.2  # they are flat, as that model's mean nearly is


def test_the_table_names_every_prior_and_those_that_are_missing(world, capsys):
    sets, _ = world
    assert main(["bench", "representation-error", "--data", str(sets)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:3] == ["model", "measured", "on"]
    assert sum(line.startswith(("faces-64-tiny", "unheard-of", "motion-tiny")) for line in table) == 4
    assert any("unheard-of" in line and "psnr_range_db 20" in line for line in table)
    assert "not installed" in table[-1]
    assert main(["bench", "representation-error", "--data", str(sets / "none")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_the_speed_is_a_positive_time_and_threads_stay(world):
    prior = store.load_prior("motion-tiny")
    threads = torch.get_num_threads()
    assert 0 < range_bench.seconds_per_step((prior, prior), 2) < 1
    assert torch.get_num_threads() == threads
