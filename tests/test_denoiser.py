"""The denoiser is equivariant, its training resumes and keeps the held-out photographs apart, and it is measured."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from images import blocks
from napari_genprior.cli import main, train_command
from napari_genprior.core import bfloat16, image_io
from napari_genprior.core.errors import InputError, ModelError
from napari_genprior.nets import denoiser as nets
from napari_genprior.nets.denoiser import Denoiser
from napari_genprior.optim.checkpoint_io import read_state
from napari_genprior.settings import TrainingSettings
from napari_genprior.training import denoiser_data, denoisers, microscope_scenes
from napari_genprior.training.loop import run
from napari_genprior.training.photos import HELD_OUT_PHOTOS
from napari_genprior.zoo import store
from napari_genprior.zoo.denoisers import denoiser_card, find_denoiser, load_denoiser

CPU = torch.device("cpu")


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(nets, "fast_bfloat16", lambda device_type: False)


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = Denoiser(8, 8, 8, 1).eval().requires_grad_(False)
    for weights in made.parameters():
        weights.mul_(5)  # larger changes of the image than those of the initial weights
    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Training photographs, and the held-out ones with darker values than any of them."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate([f"training{i}.webp" for i in range(3)] + list(HELD_OUT_PHOTOS)):
        low, high = (0, 100) if name in HELD_OUT_PHOTOS else (130, 250)
        grey = np.rint(low + (high - low) * blocks(250, 400, number)).astype(np.uint8)
        Image.fromarray(np.stack([grey] * 3, -1)).save(folder / name, lossless=True)
    return folder


@pytest.fixture
def few_scenes(monkeypatch):
    monkeypatch.setattr(denoiser_data, "N_SCENES", 3)
    monkeypatch.setattr(denoiser_data, "PHOTO_SCALES", (1.0, 0.5))


@pytest.fixture
def task(photos, few_scenes):
    settings = TrainingSettings(steps=6, batch=3, width=8, patience=0, validate_every=3, checkpoint_seconds=1e4)
    return denoisers.DenoiserTask(denoiser_data.read_sharp_images(photos), settings)


def level(value):
    return torch.full((1, 1, 1, 1), value)


def finished(running):
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


def trained(task, folder, name="small", stop_after=None):
    running = run(task, name, folder, license_weights="MIT", license_data="CC0", recipe="", overwrite=False)
    if stop_after is None:
        return finished(running)
    for _ in range(stop_after):
        next(running)
    return running.close()


@pytest.mark.parametrize(("scale", "offset"), [(3.7, 0.0), (0.01, 0.0), (1.0, -2.5), (40.0, 7.0)])
def test_scaled_and_shifted_images_give_equally_scaled_and_shifted_results(net, float32, scale, offset):
    image = torch.from_numpy(blocks(37, 50)).float()[None, None]
    plain = net(image, level(0.1))
    assert (plain - image).abs().max() > 0.01
    changed = (net(scale * image + offset, level(scale * 0.1)) - offset) / scale
    torch.testing.assert_close(changed, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (33, 18), (40, 7)])
def test_images_of_any_size_and_noise_maps_are_taken(net, float32, shape):
    image = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    result = net(image, level(0.2))
    assert result.shape == image.shape
    torch.testing.assert_close(net(image, torch.full_like(image, 0.2)), result)


def test_a_noise_map_acts_where_the_noise_is(net, float32):
    image = torch.from_numpy(blocks(160, 160)).float()[None, None]
    noise = torch.full_like(image, 0.05)
    noise[..., 120:] = 0.2
    change = (net(image, noise) - net(image, level(0.05))).abs()
    assert change[..., 140:].mean() > 0.001
    torch.testing.assert_close(change[..., :50], torch.zeros(1, 1, 160, 50), atol=1e-5, rtol=0)


def test_bfloat16_changes_the_result_less_than_the_network_does(net, monkeypatch):
    image = torch.from_numpy(blocks(48, 48)).float()[None, None]
    results = []
    for fast in (True, False):
        monkeypatch.setattr(nets, "fast_bfloat16", lambda device_type, fast=fast: fast)
        results.append(net(image, level(0.1)))
    assert results[0].dtype == torch.float32
    error, change = (results[0] - results[1]).square().mean().sqrt(), (results[1] - image).square().mean().sqrt()
    assert 0 < error < 0.03 * change


@pytest.mark.parametrize(("flags", "fast"), [("fpu avx512f amx_bf16 amx_tile", True), ("fpu avx512_bf16", False)])
def test_matrix_units_are_detected_by_the_flags_of_the_processor(flags, fast, monkeypatch):
    bfloat16.fast_bfloat16.cache_clear()
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: f"processor : 0\nflags : {flags}\n")
    assert bfloat16.fast_bfloat16("cpu") is fast
    assert not bfloat16.fast_bfloat16("mps")
    bfloat16.fast_bfloat16.cache_clear()


@pytest.mark.slow
def test_an_interrupted_training_gives_bit_identical_weights(task, tmp_path):
    whole = trained(task, tmp_path, "whole")
    trained(task, tmp_path, "parts", stop_after=4)
    assert read_state(tmp_path / "parts.checkpoint")["step"] == 4
    parts = trained(task, tmp_path, "parts")
    assert whole.card.sha256 == parts.card.sha256
    assert whole.card.metrics == parts.card.metrics
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.slow
def test_a_trained_denoiser_is_stored_in_half_precision_and_found(task, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    assert find_denoiser(CPU) is None
    assert denoiser_card() is None
    card = trained(task, tmp_path).card
    assert denoiser_card() == card
    found = find_denoiser(CPU)
    parameters = sum(weights.numel() for weights in found.parameters())
    assert (tmp_path / "small.safetensors").stat().st_size < 2 * parameters + 10_000
    assert set(card.metrics) == {f"psnr_{level:g}_db" for level in denoisers.LEVELS}
    assert denoisers.psnr(found, task.images.held_out, 25).mean() == pytest.approx(card.metrics["psnr_25_db"], abs=0.01)
    with pytest.raises(ModelError):
        store.load_prior("small")


@pytest.mark.slow
def test_training_removes_noise(photos, few_scenes, tmp_path):
    settings = TrainingSettings(steps=150, batch=4, width=16, patience=0, ema_decay=0.9, learning_rate=3e-3)
    task = denoisers.DenoiserTask(denoiser_data.read_sharp_images(photos), settings)
    metrics = trained(task, tmp_path).card.metrics
    noisy = -20 * np.log10(25 / 255)
    assert metrics["psnr_25_db"] > noisy + 3


def test_held_out_photographs_are_never_trained_on(task):
    assert len(task.images.photos) == 3 * 2
    assert min(image.min() for image in task.images.photos) > 120
    assert task.images.held_out.shape == (2 * len(HELD_OUT_PHOTOS), 1, 192, 192)
    assert task.images.held_out.max() < 0.4


def test_nuclei_are_scaled_to_their_range_in_two_sizes(photos, few_scenes, tmp_path):
    dark = np.rint(10 + 60 * blocks(200, 230)).astype(np.uint8)
    np.savez(tmp_path / "nuclei.npz", img_200x230=dark[None], img_empty=np.full((1, 200, 200), 9, np.uint8), id_a=["x"])
    images = denoiser_data.read_sharp_images(photos, tmp_path / "nuclei.npz")
    assert [image.shape for image in images.nuclei] == [(1, 200, 230), (1, 100, 115)]
    assert all(image.min() < 5 and image.max() > 250 for image in images.nuclei)
    examples = images.examples(60, np.random.default_rng(0))
    assert examples.shape == (60, 1, 96, 96)
    assert examples.min() >= 0
    assert examples.max() <= 1


def test_noise_levels_cover_the_range():
    levels = 255 * denoisers.draw_levels(2000, torch.Generator().manual_seed(0)).flatten()
    assert levels.min() > 0
    assert levels.max() <= 60
    shares = [(levels < bound).float().mean() for bound in (1, 5, 15, 50)]
    assert shares == sorted(shares)
    assert shares[0] > 0.05
    assert shares[-1] < 0.98


def test_microscope_scenes_repeat_and_differ():
    first, again, other = (microscope_scenes.microscope_scene(96, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.max() - first.min() > 150


COMMAND = "train denoiser -o small --steps 5 --batch 2 --width 4"


@pytest.mark.slow
def test_a_termination_signal_ends_the_command_with_a_checkpoint(photos, few_scenes, tmp_path, monkeypatch, capsys):
    learn = denoisers.DenoiserLearner.step
    calls = []

    def step(self, x, random):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(self, x, random)

    monkeypatch.setattr(denoisers.DenoiserLearner, "step", step)
    monkeypatch.setattr(train_command, "LINE_EVERY_S", 0)
    command = [*COMMAND.split(), "--photos", str(photos), "--out-folder", str(tmp_path)]
    before = signal.getsignal(signal.SIGTERM)
    assert main(command) == 130
    error = capsys.readouterr().err
    assert "small: step 2" in error
    assert "repeat the command" in error
    assert read_state(tmp_path / "small.checkpoint")["step"] == 3
    assert main([*command, "--quiet"]) == 0
    output = capsys.readouterr()
    assert "psnr_25_db" in output.out
    assert not output.err
    assert len(calls) == 5
    assert signal.getsignal(signal.SIGTERM) == before
    card = json.loads((tmp_path / "small.json").read_text())
    assert card["recipe"].startswith("genprior train denoiser --output small --photos")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--photos {t}/none", "holds no held-out photographs"),
        ("--photos {t}", "holds no held-out photographs"),
        ("--photos {t}/damaged", "cannot be read"),
        ("--photos {t}/small", "10x10 px"),
        ("--photos {p} --nuclei {t}/none.npz", "not a readable npz"),
        ("--photos {p} --nuclei {t}/other.npz", "no usable images"),
        ("", "--photos"),
    ],
)
def test_unusable_photographs_and_nuclei_are_refused_in_one_line(options, words, photos, few_scenes, tmp_path, capsys):
    for name in ("damaged", "small"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / HELD_OUT_PHOTOS[0]).write_bytes(b"RIFF")
    image_io.write_image(tmp_path / "small.png", np.zeros((10, 10), np.uint8))
    (tmp_path / "small.png").rename(tmp_path / "small" / HELD_OUT_PHOTOS[0])
    np.savez(tmp_path / "other.npz", x=np.zeros((1, 300, 300)))
    command = f"{COMMAND} --out-folder {tmp_path} {options.format(t=tmp_path, p=photos)}"
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert words in error


def test_photographs_that_are_all_held_out_or_too_small_are_refused(photos, few_scenes, tmp_path):
    from PIL import Image

    (tmp_path / HELD_OUT_PHOTOS[0]).write_bytes((photos / HELD_OUT_PHOTOS[0]).read_bytes())
    with pytest.raises(InputError, match="no training photographs"):
        denoiser_data.read_sharp_images(tmp_path)
    Image.new("RGB", (90, 500)).save(tmp_path / "narrow.png")
    with pytest.raises(InputError, match="too small"):
        denoiser_data.read_sharp_images(tmp_path)


@pytest.mark.slow
def test_the_benchmark_measures_held_out_photographs_only(task, photos, tmp_path, capsys):
    trained(task, tmp_path)
    command = [
        "bench",
        "denoise",
        str(photos),
        "--model",
        str(tmp_path / "small.json"),
        "--json",
        str(tmp_path / "b.json"),
    ]
    assert main(command) == 0
    assert "held out, 5 images" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert [image["name"] + ".webp" for image in row["images"]] == list(HELD_OUT_PHOTOS)
    values = [row["metrics"][f"PSNR at {level:g}/255, dB"] for level in denoisers.LEVELS]
    assert values == sorted(values, reverse=True)
    net = load_denoiser(tmp_path / "small.json", CPU)
    from napari_genprior.evaluation.benchmark_denoise import grey_image

    sharp = torch.from_numpy(grey_image(photos / HELD_OUT_PHOTOS[1]))[None, None].float() / 255
    assert row["images"][1]["25"] == pytest.approx(float(denoisers.psnr(net, sharp, 25, seed=1)), abs=1e-3)


def test_a_benchmark_without_a_denoiser_is_refused(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    assert main(["bench", "denoise", str(photos)]) == 2
    assert "--model" in capsys.readouterr().err


def test_another_model_is_no_denoiser():
    folder = next(folder for folder in store.folders() if (folder / "gaussian-28.json").exists())
    with pytest.raises(ModelError, match="a denoiser is needed"):
        load_denoiser(folder / "gaussian-28.json", CPU)
