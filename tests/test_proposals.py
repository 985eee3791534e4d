"""Initializers: a network learns to estimate latents, resumes after a kill, and serves its own pair of priors only."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError, ModelError
from napari_genprior.methods import Problem
from napari_genprior.methods import initialization as starts
from napari_genprior.nets.linear_gaussian import LinearGenerator
from napari_genprior.operators.convolution import convolve
from napari_genprior.pipeline.plan import make_plan
from napari_genprior.pipeline.prior_choice import network_hashes
from napari_genprior.settings import GeneratorSettings, TrainingSettings
from napari_genprior.training import data
from napari_genprior.training import initializer_data as examples
from napari_genprior.training.initializers import InitializerTask
from napari_genprior.training.loop import run
from napari_genprior.zoo import initializers, store
from napari_genprior.zoo.export import write_prior

ABOUT = {
    "arch": "linear", "distribution": "normal", "output_range": (0.0, 1.0), "license_weights": "none",
    "license_data": "CC0", "data": "none", "recipe": "none", "metrics": {},
}  # fmt: skip
SIZE, LATENT, KERNEL_SIZE, KERNEL_LATENT = 16, 4, 7, 2


def install(folder, name, kind, seed):
    """A linear generator: smooth images with four degrees of freedom, or lines that turn with two."""
    rng = torch.Generator().manual_seed(seed)
    if kind == "image":
        net = LinearGenerator(LATENT, 1, SIZE, SIZE)
        coarse = torch.randn(LATENT, 1, 4, 4, generator=rng)
        fine = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
        net.basis.copy_(0.1 * fine.flatten(1))
        net.mean.fill_(0.5)
    else:
        net = LinearGenerator(KERNEL_LATENT, 1, KERNEL_SIZE, KERNEL_SIZE, kernel=True)
        net.mean.fill_(1 / KERNEL_SIZE**2)
        net.basis.copy_(0.3 * torch.randn(KERNEL_LATENT, KERNEL_SIZE**2, generator=rng) / KERNEL_SIZE**2)
    side, latent = (SIZE, LATENT) if kind == "image" else (KERNEL_SIZE, KERNEL_LATENT)
    arguments = {"latent": latent, "channels": 1, "height": side, "width": side, "kernel": kind == "kernel"}
    write_prior(
        net, folder, half=False, name=name, kind=kind, arguments=arguments, latent=latent, channels=1,
        size=(side, side), **ABOUT,
    )  # fmt: skip
    return store.load_prior(folder / f"{name}.json")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with a pair of priors, the only one where models are looked for."""
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    monkeypatch.setattr(examples, "N_SAMPLES", 600)
    install(tmp_path, "waves", "image", 0)
    install(tmp_path, "smears", "kernel", 1)
    return tmp_path


def pair(folder):
    return store.load_prior(folder / "waves.json"), store.load_prior(folder / "smears.json")


TINY = {"batch": 32, "width": 32, "checkpoint_seconds": 1e4, "validate_every": 50}


def trained(folder, name="start", **settings):
    settings = TrainingSettings(**{"steps": 30, **TINY, **settings})
    running = run(
        InitializerTask(*pair(folder), settings), name, folder, license_weights="none", license_data="none", recipe="",
        overwrite=False,
    )  # fmt: skip
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


def test_every_shipped_start_belongs_to_the_shipped_priors_of_its_names():
    for card in store.list_models():
        if card.initializer_for is not None:
            image, kernel = (gp.load_prior(prior.name) for prior in card.initializer_for)
            if card.arch == "kernel-initializer":
                blurred = torch.zeros(1, card.channels, *card.size)
                assert initializers.predict_kernel_latents(image.card, kernel.card, blurred)
            else:
                network = initializers.find_initializer(image.card, kernel.card)
                assert network is not None
                assert network.latents == (image.card.latent, kernel.card.latent)


@pytest.mark.slow
def test_provenance_names_the_initializer_of_a_run():
    image = np.eye(28, dtype=np.uint8)
    pair = {"image_prior": "digits-28", "kernel_prior": "motion-28"}
    card = gp.load_prior("digits-28").card
    start = initializers.initializer_card(card, gp.load_prior("motion-28").card, "initializer")
    result = gp.deblur(image, "generator", steps=2, **pair)
    assert result.provenance.arguments["networks"] == {"start-digits-28-motion-28": start.sha256}
    for other in ({"kernel": np.ones((3, 3))}, {"settings": {"schedule": "paper"}}):
        asked = {name: value for name, value in pair.items() if "kernel" not in other or name == "image_prior"}
        assert gp.deblur(image, "generator", steps=2, **asked, **other).provenance.arguments["networks"] == {}


def test_provenance_names_the_kernel_initializer_of_a_linear_prior():
    image = np.eye(32, dtype=np.uint8)[..., None].repeat(3, 2)
    plan = make_plan(image, "evidence", image_prior="house-numbers-32-linear")
    networks = network_hashes(plan.method, plan.settings, plan.priors, kernel_known=False)
    assert list(networks) == ["start-house-numbers-32-linear-motion-28"]


@pytest.mark.slow
def test_initial_latents_are_closer_than_random_ones(world):
    image, kernel = pair(world)
    made = trained(world, steps=400, width=64, learning_rate=3e-3)
    network = initializers.find_initializer(image.card, kernel.card)
    rng = torch.Generator().manual_seed(9)
    errors, chance = [], []
    for _ in range(20):
        z_image, z_kernel = torch.randn(1, LATENT, generator=rng), torch.randn(1, KERNEL_LATENT, generator=rng)
        blurred = convolve(image.decode(z_image), kernel.decode(z_kernel))
        found_image, found_kernel = initializers.predict_latents(network, blurred)
        assert found_image.shape == (network.heads, LATENT)
        assert found_kernel.shape == (network.heads, KERNEL_LATENT)
        errors.append((found_image - z_image).square().mean(1).min())
        chance.append((torch.randn(network.heads, LATENT, generator=rng) - z_image).square().mean(1).min())
    assert np.mean(errors) < 0.25 * np.mean(chance)
    assert set(made.card.metrics) == {"psnr_proposed_db", "relative_error_proposed", "objective_proposed"}


def test_given_images_and_kernels_are_used_in_training(world):
    image, kernel = pair(world)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        images = image.decode(0.5 * torch.randn(40, LATENT, generator=rng)).clamp(0, 1).numpy()
        kernels = kernel.decode(torch.randn(40, KERNEL_LATENT, generator=rng)).numpy()
    settings = TrainingSettings(steps=5, **TINY)
    task = InitializerTask(
        image, kernel, settings, data.split(images, "image", "40 waves"), data.split(kernels, "kernel", "40 smears")
    )
    batch = task.batch(torch.arange(8), torch.Generator().manual_seed(0), torch.device("cpu"))
    torch.testing.assert_close(image.decode(batch.image_latent), batch.image, atol=0.02, rtol=0)
    torch.testing.assert_close(kernel.decode(batch.kernel_latent), batch.kernel, atol=0.005, rtol=0)
    misfit = (convolve(batch.image, batch.kernel) - batch.blurred).square().mean().sqrt()
    assert 0.004 < misfit < 0.05
    assert "40 waves, blurred by 40 smears" in task.about["data"]


def test_an_initializer_serves_its_pair_alone(world):
    image, kernel = pair(world)
    trained(world)
    path = world / "start.json"
    assert initializers.find_initializer(image.card, kernel.card) is not None
    foreign = install(world, "other-waves", "image", 5)
    assert initializers.find_initializer(foreign.card, kernel.card) is None
    with pytest.raises(ModelError, match=r"for waves \(.*not for other-waves"):
        initializers.load_initializer(path, foreign.card, kernel.card)
    renewed = install(world, "waves", "image", 6)  # the same name, other weights
    assert initializers.find_initializer(renewed.card, kernel.card) is None
    with pytest.raises(ModelError, match="not an initializer"):
        initializers.load_initializer(world / "waves.json", image.card, kernel.card)
    with pytest.raises(ModelError, match="is not a prior"):
        gp.load_prior(path)
    assert "start" not in [card.name for card in gp.list_priors()]


def test_the_fast_schedule_starts_at_the_best_initial_latents_unless_the_noise_is_too_high(world):
    image, kernel = pair(world)
    rng = torch.Generator().manual_seed(2)
    sharp = image.decode(0.5 * torch.randn(1, LATENT, generator=rng))
    blurred = convolve(sharp, kernel.decode(torch.randn(1, KERNEL_LATENT, generator=rng)))

    def begun(noise):
        noisy = (blurred + noise * torch.randn(blurred.shape, generator=rng)).clamp(0, 1)
        return starts.predicted_points(
            Problem(noisy, GeneratorSettings(), image_prior=image, kernel_prior=kernel)
        )  # fmt: skip

    assert begun(0.01) == []  # no network yet
    trained(world)
    ((found_image, found_kernel),) = begun(0.01)
    assert (found_image.shape, found_kernel.shape) == ((1, LATENT), (1, KERNEL_LATENT))
    assert begun(0.2) == []


def test_damaged_initializers_and_wrong_cards_are_refused(world):
    image, kernel = pair(world)
    trained(world)
    path, card = world / "start.json", json.loads((world / "start.json").read_text())

    def written(**changes):
        path.write_text(json.dumps({**card, **changes}))
        return initializers.load_initializer(path, image.card, kernel.card)

    with pytest.raises(ModelError, match="does not take"):
        written(size=[SIZE, SIZE + 2])
    with pytest.raises(ModelError, match="does not predict"):
        written(latent=5)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        written(sha256="0" * 64)
    with pytest.raises(ModelError, match="initializer_for"):
        written(initializer_for=None)
    with pytest.raises(ModelError, match="initializer_for"):
        written(kind="image")


def test_unusable_training_data_are_refused(world):
    image, kernel = pair(world)
    settings = TrainingSettings(steps=5)
    with pytest.raises(InputError, match="in this order"):
        InitializerTask(kernel, image, settings)
    small = data.split(np.full((20, 1, 8, 8), 0.5, np.float32), "image", "small ones")
    with pytest.raises(InputError, match=f"waves has images of {SIZE}x{SIZE}x1"):
        InitializerTask(image, kernel, settings, small)
    image.net.encoder = None
    large = data.split(np.full((20, 1, SIZE, SIZE), 0.5, np.float32), "image", "some")
    with pytest.raises(InputError, match="give none"):
        InitializerTask(image, kernel, settings, large)


@pytest.mark.slow
def test_a_killed_command_resumes_and_models_lists_the_initializer(world, capsys):
    images = np.random.default_rng(0).integers(0, 255, (40, SIZE, SIZE), dtype=np.uint8)
    np.save(world / "images.npy", images)
    command = [
        *(sys.executable, "-m", "napari_genprior", "train", "--initializer", str(world / "waves.json")),
        *(str(world / "smears.json"), "--data", str(world / "images.npy"), "--simulate", "shake", "--kernels", "40"),
        *("--steps", "300", "--batch", "8", "--width", "16", "--checkpoint-seconds", "0", "--quiet"),
        *("-o", "m", "--out-folder", str(world)),
    ]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not (world / "m.checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (world / "m.checkpoint").exists()
    assert not (world / "m.json").exists()
    command[command.index("--checkpoint-seconds") + 1] = "60"
    assert main(command[3:]) == 0
    assert main([*(part if part != "m" else "n" for part in command[3:])]) == 0
    cards = [json.loads((world / f"{name}.json").read_text()) for name in ("m", "n")]
    assert cards[0]["sha256"] == cards[1]["sha256"]
    assert f"--initializer {world / 'waves.json'} {world / 'smears.json'}" in cards[0]["recipe"]
    capsys.readouterr()
    assert main(["models"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["m", "initializer", "kernel-initializer", f"{SIZE}x{SIZE}x1", "2"] in [row[:5] for row in rows]
