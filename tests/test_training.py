"""Training reduces the loss, resumes after an interruption, and writes priors that load like any other."""

import json
import signal
import subprocess
import sys
import time
from itertools import islice

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.settings import TrainingSettings
from napari_genprior.training import data, image_files, kernel_simulators, losses
from napari_genprior.training.loop import train


def kernels(count=60, size=28, seed=0):
    drawn = np.stack(list(islice(kernel_simulators.draw_kernels("blur-b", size, seed), count)))[:, None]
    return data.split(drawn, "kernel", "a few kernels", turn=True)


def images(count=40, size=16, channels=3):
    made = np.stack([blocks(size, size, seed) for seed in range(count)])[:, None].repeat(channels, 1)
    return data.split((made * 255).astype(np.uint8), "image", "a few blocks")


TINY = {"batch": 8, "checkpoint_seconds": 1e4, "validate_every": 5}
ARCHITECTURES = [
    ("blur-vae", kernels, {"steps": 12}),
    ("vae", images, {"steps": 12, "latent": 6, "width": 4, "flip_horizontal": True, "shift_px": 1}),
    ("dcgan", images, {"steps": 4, "latent": 6, "width": 4}),
    ("linear", images, {"steps": 12, "latent": 6, "residual_network": True, "rotate90": True}),
]


def run(data_, settings, name, folder, stop_after=None, **more):
    """Train to the end, or close the generator after ``stop_after`` updates."""
    running = train(data_, settings, name, folder, **more)
    progress = []
    while True:
        try:
            progress.append(next(running))
        except StopIteration as end:
            return end.value, progress
        if stop_after and len(progress) >= stop_after:
            running.close()
            return None, progress


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "make", "more"), ARCHITECTURES, ids=[row[0] for row in ARCHITECTURES])
def test_an_interrupted_training_gives_bit_identical_weights(arch, make, more, tmp_path):
    settings, given = TrainingSettings(arch=arch, **TINY, **more), make()
    whole, all_progress = run(given, settings, "whole", tmp_path)
    _, before = run(given, settings, "parts", tmp_path, stop_after=3)
    assert (tmp_path / "parts.checkpoint").exists()
    assert not (tmp_path / "parts.json").exists()
    parts, after = run(given, settings, "parts", tmp_path)
    assert [p.step for p in before + after] == [p.step for p in all_progress]
    assert [p.losses for p in before + after] == [p.losses for p in all_progress]
    assert whole.card.sha256 == parts.card.sha256
    assert whole.card.metrics == parts.card.metrics
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "make", "more"), ARCHITECTURES, ids=[row[0] for row in ARCHITECTURES])
def test_trained_priors_load_like_any_other(arch, make, more, tmp_path):
    given = make()
    trained, _ = run(
        given, TrainingSettings(arch=arch, **TINY, **more), "mine", tmp_path, license_data="CC0", license_weights="MIT"
    )
    prior = gp.load_prior(trained.path)
    decoded = prior.decode(torch.randn(2, prior.card.latent, generator=torch.Generator().manual_seed(0)))
    assert decoded.shape[1:] == given.train.shape[1:]
    assert (prior.card.license_data, prior.card.license_weights, prior.card.data) == ("CC0", "MIT", given.about)
    assert all(np.isfinite(value) for value in prior.card.metrics.values())
    stored = load_file(tmp_path / "mine.safetensors")
    halves = {key: t for key, t in stored.items() if t.is_floating_point() and not key.endswith((".step", "spectrum"))}
    assert all(t.dtype == torch.float16 for t in halves.values())
    sheet = io.read_image(tmp_path / "mine.png")
    assert sheet.dtype == np.uint8
    assert sheet.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("reconstruction", ["gaussian", "mse", "bce"])
def test_training_reduces_the_held_out_loss(reconstruction, tmp_path):
    settings = TrainingSettings(
        arch="vae", steps=60, batch=16, latent=4, width=8, validate_every=10, reconstruction=reconstruction, beta=0.1
    )
    _, progress = run(images(), settings, "m", tmp_path)
    looks = [p.held_out for p in progress if p.held_out is not None]
    assert looks[-1] < looks[0]
    assert progress[0].seconds_left > 0
    assert progress[-1].fraction == 1


def test_patience_ends_the_training_and_the_best_weights_are_stored(tmp_path):
    settings = TrainingSettings(
        arch="vae", steps=500, batch=8, latent=4, width=2, validate_every=1, patience=3, learning_rate=1.0
    )
    trained, progress = run(images(), settings, "m", tmp_path)
    assert "no better" in trained.reason
    assert len(progress) < 500


@pytest.mark.slow
def test_the_time_limit_ends_the_training(tmp_path):
    trained, progress = run(kernels(), TrainingSettings(arch="blur-vae", minutes=0.01, batch=8), "m", tmp_path)
    assert trained.reason == "time limit reached"
    assert progress[-1].seconds >= 0.6


@pytest.mark.parametrize(("moved", "centred"), [(0, True), (1, None)])
def test_cards_record_whether_kernels_are_centred(tmp_path, moved, centred):
    drawn = np.stack(list(islice(kernel_simulators.draw_kernels("blur-b", 28, 0), 60)))[:, None]
    some = data.split(np.roll(drawn, moved, -1), "kernel", "a few kernels")
    trained, _ = run(some, TrainingSettings(arch="blur-vae", steps=2, **TINY), "m", tmp_path)
    assert trained.card.centred is centred


@pytest.mark.slow
def test_without_encoder_only_the_decoder_is_stored(tmp_path):
    trained, _ = run(kernels(), TrainingSettings(arch="blur-vae", steps=2, keep_encoder=False, **TINY), "m", tmp_path)
    assert trained.card.arguments["encoder"] is False
    assert all(key.startswith("decoder") for key in load_file(tmp_path / "m.safetensors"))
    assert gp.load_prior(trained.path).net.encoder is None
    assert list(trained.card.metrics) == ["relative_range_error"]


def test_the_global_random_generator_of_torch_is_left_alone(tmp_path):
    before = torch.get_rng_state()
    run(images(), TrainingSettings(arch="dcgan", steps=1, width=2, **TINY), "m", tmp_path)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_a_training_with_other_settings_under_the_same_name_is_refused(tmp_path):
    settings = TrainingSettings(arch="blur-vae", steps=20, **TINY)
    run(kernels(), settings, "m", tmp_path, stop_after=2)
    with pytest.raises(InputError, match=r"beta 1\.0 \(now 2\.0\)"):
        run(kernels(), TrainingSettings(arch="blur-vae", steps=20, beta=2.0, **TINY), "m", tmp_path)
    with pytest.raises(InputError, match="other data"):
        run(kernels(seed=1), settings, "m", tmp_path)
    (tmp_path / "m.checkpoint").write_bytes(b"cut")
    with pytest.raises(FileError, match="delete it"):
        run(kernels(), settings, "m", tmp_path)
    (tmp_path / "m.checkpoint").unlink()
    run(kernels(), settings, "m", tmp_path)
    with pytest.raises(InputError, match="already"):
        run(kernels(), settings, "m", tmp_path)
    run(kernels(), settings, "m", tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("settings", "make", "words"),
    [
        ({"arch": "blur-vae"}, images, "cannot generate images"),
        ({"arch": "dcgan"}, kernels, "cannot generate kernels"),
        ({"arch": "digit-vae"}, images, "28x28x1"),
        ({"arch": "vae", "size": 64}, images, "needs larger"),
    ],
)
def test_data_that_do_not_fit_the_architecture_are_refused(settings, make, words, tmp_path):
    with pytest.raises(InputError, match=words):
        run(make(), TrainingSettings(**settings), "m", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_command_resumes(tmp_path):
    command = [
        *(sys.executable, "-m", "napari_genprior", "train", "--simulate", "blur-b", "--kernels", "40", "--quiet"),
        *("--arch", "blur-vae", "--steps", "100", "--batch", "8", "--checkpoint-seconds", "0"),
        *("-o", "m", "--out-folder", str(tmp_path)),
    ]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not (tmp_path / "m.checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "m.checkpoint").exists()
    assert not (tmp_path / "m.json").exists()
    command[command.index("--checkpoint-seconds") + 1] = "60"
    assert main(command[3:]) == 0
    assert main([*(part if part != "m" else "n" for part in command[3:])]) == 0
    assert gp.load_prior(tmp_path / "m.json").card.sha256 == gp.load_prior(tmp_path / "n.json").card.sha256


def test_a_diverging_training_says_so_and_leaves_no_checkpoint(tmp_path, monkeypatch):
    settings = TrainingSettings(arch="blur-vae", steps=20, **TINY)
    run(kernels(), settings, "m", tmp_path, stop_after=2)
    monkeypatch.setattr(losses, "elbo", lambda x, decoded, *_: {"total": decoded.sum() * np.nan})
    with pytest.raises(InputError, match="diverged at step 2"):
        run(kernels(), settings, "m", tmp_path)
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for seed in range(9):
        io.write_image(tmp_path / "set" / f"{seed}.png", (blocks(20, 24, seed) * 255).astype(np.uint8))
    return tmp_path / "set"


def test_images_of_a_folder_are_scaled_or_cut_into_tiles(folder):
    assert image_files.read_images(folder, size=8).shape == (9, 1, 8, 8)
    tiles = image_files.read_images(folder, size=8, tiles=True)
    assert tiles.shape == (9 * 2 * 3, 1, 8, 8)
    np.testing.assert_array_equal(tiles[1, 0], io.read_image(folder / "0.png")[:8, 8:16])
    io.write_image(folder / "colour.png", np.zeros((20, 20, 3), np.uint8))
    assert image_files.read_images(folder, size=8).shape == (10, 3, 8, 8)
    assert image_files.read_images(folder, size=8, channels=1).shape == (10, 1, 8, 8)


def test_an_npz_is_read_by_key_or_as_packed_jpeg(tmp_path):
    import imagecodecs

    stack = np.stack([(blocks(16, 16, seed) * 255).astype(np.uint8) for seed in range(3)])
    np.savez(tmp_path / "a.npz", x=stack, other=stack[..., None].repeat(3, -1))
    assert image_files.read_images(tmp_path / "a.npz").shape == (3, 1, 16, 16)
    assert image_files.read_images(tmp_path / "a.npz", key="other").shape == (3, 3, 16, 16)
    streams = [imagecodecs.jpeg8_encode(image, level=95) for image in stack]
    offsets = np.cumsum([0, *map(len, streams)])
    np.savez(tmp_path / "b.npz", jpeg=np.frombuffer(b"".join(streams), np.uint8), offsets=offsets)
    packed = image_files.read_images(tmp_path / "b.npz")
    assert packed.shape == (3, 1, 16, 16)
    assert abs(packed[:, 0].astype(int) - stack).mean() < 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--data {t}/none", "no file or folder"),
        ("--data {t}/empty", "no images"),
        ("--data {t}/few", "at least 8"),
        ("--data {t}/small --size 64", "smaller than the 64"),
        ("--data {t}/keyless.npz", "has no array x"),
        ("--data {t}/text.npz", "not a readable npz"),
        ("--data {t}/objects.npy", "not a readable npz"),
        ("--data {t}/flat.npy", "images are"),
        ("--data {t}/bright.npy", "must lie in"),
        ("--data {t}/bright.npy --kind kernel --arch dcgan", "cannot generate kernels"),
        ("--data {t}/negative.npy --kind kernel", "negative"),
        ("--data {t}/bright.npy --simulate shake", "Give one of"),
        ("", "Give one of"),
        ("--simulate earthquake", "there are: shake"),
        ("--simulate gaussian --arch digit-vae", "cannot generate kernels"),
        ("--simulate gaussian --steps -1", "steps = -1"),
        ("--simulate gaussian --arch unet", "--arch"),
        ("--simulate gaussian --device abacus", "abacus"),
        ("--simulate gaussian --out-folder {t}/nowhere", "No such file"),
        ("--simulate gaussian --name-of-it", "--name-of-it"),
        ("--simulate gaussian --licence-weights=", "license_weights"),
        ("--simulate gaussian -o My_Model", "My_Model"),
    ],
)
def test_unusable_training_data_are_refused_in_one_line(options, words, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("empty", "few", "small"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("hello")
    io.write_image(tmp_path / "few" / "a.png", rng.integers(0, 255, (64, 64), np.uint8))
    io.write_image(tmp_path / "small" / "a.png", rng.integers(0, 255, (20, 20), np.uint8))
    np.savez(tmp_path / "keyless.npz", y=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros((3, 3)))
    np.save(tmp_path / "bright.npy", 300 * rng.random((9, 16, 16)))
    np.save(tmp_path / "negative.npy", -rng.random((9, 16, 16)))
    folder = "" if "--out-folder" in options else f" --out-folder {tmp_path}"
    steps = "" if "--steps" in options else " --steps 1"
    command = f"train -o m {options.format(t=tmp_path)} --kernels 10 --quiet{folder}{steps}"
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert words in error
    assert not list(tmp_path.glob("m.*"))


def test_the_command_trains_on_a_folder_and_the_card_holds_the_recipe(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    command = f"train --data {folder} --size 8 --arch linear --latent 3 -o blocks --flip-horizontal --quiet"
    assert main(command.split()) == 0
    assert "psnr_range_db" in capsys.readouterr().out
    card = gp.load_prior("blocks").card
    assert card.recipe.startswith("genprior train --output blocks --data")
    assert "--flip-horizontal" in card.recipe
    assert main(["models"]) == 0
    assert "blocks" in capsys.readouterr().out


@pytest.mark.parametrize("simulator", kernel_simulators.SIMULATED)
def test_simulated_kernels_are_kernels_and_repeat(simulator):
    first, again, other = (next(kernel_simulators.draw_kernels(simulator, 28, seed)) for seed in (0, 0, 1))
    assert first.shape == (28, 28)
    assert first.min() >= 0
    assert float(first.sum()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-4


def test_a_batch_is_the_central_crop_with_random_shifts():
    ramp = torch.arange(100.0).view(1, 1, 10, 10) / 100
    index = torch.zeros(1, dtype=torch.long)
    torch.testing.assert_close(data.batch(ramp, index, 6), ramp[..., 2:8, 2:8])
    many = torch.zeros(200, dtype=torch.long)
    shifted = data.batch(ramp, many, 6, torch.Generator().manual_seed(0), shift_px=2)
    assert shifted.min() == 0
    assert shifted.max() == ramp.max()
    turned = data.batch(ramp, many, 10, torch.Generator().manual_seed(0), turn=True)
    assert len(torch.unique(turned.flatten(1), dim=0)) == 8  # all symmetries of the square
    mirrored = data.batch(ramp, many, 10, torch.Generator().manual_seed(0), mirror=True)
    assert len(torch.unique(mirrored.flatten(1), dim=0)) == 2
    assert data.batch((ramp * 255).byte(), index, 6).max() <= 1


def test_the_terms_of_the_evidence_bound_are_right():
    x, mean, logvar = torch.zeros(2, 1, 2, 2), torch.full((2, 3), 2.0), torch.zeros(2, 3)
    terms = losses.elbo(x, x + 1, mean, logvar, beta=0.5, reconstruction="mse")
    assert terms["misfit"] == pytest.approx(2.0)
    assert terms["kl"] == pytest.approx(6.0)
    assert terms["total"] == pytest.approx(5.0)
    assert losses.elbo(x, x + 1, mean, logvar)["misfit"] == pytest.approx(0, abs=1e-5)
    assert losses.psnr(x, x + 0.1) == pytest.approx(20, abs=1e-3)


def test_settings_round_trip():
    settings = TrainingSettings(arch="dcgan", minutes=3.5)
    assert TrainingSettings(**json.loads(settings.model_dump_json())) == settings
