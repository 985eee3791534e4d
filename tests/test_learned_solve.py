"""Deconvolution with a network: its invariances for any weights, and the quality of the shipped weights."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

import napari_genprior as gp
from images import blocks
from napari_genprior import blur, metrics, samples
from napari_genprior.core.errors import ModelError
from napari_genprior.deconvolution import unrolled as learned_solve
from napari_genprior.deconvolution.total_variation import deconvolve, strength_for
from napari_genprior.deconvolution.unrolled import restore, rounds
from napari_genprior.methods.final_deconvolution import final_image
from napari_genprior.nets.restorer import FITS, Restorer
from napari_genprior.operators.convolution import convolve
from napari_genprior.operators.observation import BLOCK, pad_periodic
from napari_genprior.settings import KnownKernelSettings, TrainingSettings
from napari_genprior.simulation import simulate
from napari_genprior.training import data, restorers
from napari_genprior.training.loop import run
from napari_genprior.zoo import store
from napari_genprior.zoo.restorers import find_restorer, restorer_card

KERNEL = blur.shake(13, 3, 15)


def tensor(array):
    planes = np.asarray(array, np.float32)
    return torch.from_numpy(planes if planes.ndim == 2 else np.moveaxis(planes, -1, 0).copy()).reshape(
        1, -1, *planes.shape[:2]
    )


@pytest.fixture
def net():
    """Random weights, its last layer too."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Restorer(8, 8, 1, 2)
        torch.nn.init.normal_(net.tail[-1].weight, std=0.05)
    return net.requires_grad_(False)


# --- observation


def test_a_canvas_leaves_room_and_has_whole_blocks():
    observation = pad_periodic(torch.rand(1, 1, 50, 61), (9, 5))
    height, width = observation.canvas.shape[-2:]
    assert height >= 50 + 9
    assert width >= 61 + 5
    assert height % BLOCK == width % BLOCK == 0
    assert observation.valid.sum() == 50 * 61


def test_a_periodic_image_is_its_own_canvas():
    image = torch.rand(1, 3, 32, 48)
    observation = pad_periodic(image, (28, 28), periodic=True)
    assert torch.equal(observation.canvas, image)
    assert observation.valid.all()
    assert pad_periodic(image, (33, 5), periodic=True).canvas.shape[-2] > 33  # a larger kernel wraps more than once
    assert pad_periodic(image[..., :31, :], (5, 5), periodic=True).canvas.shape[-2] % BLOCK == 0


@pytest.mark.parametrize("deconvolution", ["tv", "network"])
def test_a_periodic_border_is_observed(deconvolution):
    sharp = torch.from_numpy(blocks(64, 64, seed=3))[None, None]
    kernel = tensor(KERNEL)
    blurred = convolve(sharp, kernel)
    settings = KnownKernelSettings.checked({"deconvolution": deconvolution})
    error = [(final_image(blurred, kernel, 0.003, settings, known) - sharp).square().mean() for known in (False, True)]
    assert error[1] < error[0] / 2


def test_saturated_pixels_are_bounds():
    observation = pad_periodic(torch.tensor([0.0, 0.5, 1.0]).repeat(1, 1, 8, 3), (1, 1))
    for offset, expected in ((0.3, [0.0, 0.5, 1.3]), (-0.3, [-0.3, 0.5, 1.0])):
        imputed = observation.impute(observation.canvas + offset)
        torch.testing.assert_close(imputed[0, 0, 2, :3], torch.tensor(expected))
        beyond = ~observation.valid
        torch.testing.assert_close(imputed[beyond], (observation.canvas + offset)[beyond])


@pytest.mark.parametrize("learned", [False, True])
def test_over_exposed_lights_are_masked(learned):
    sharp = 0.3 * blocks(96, 96, seed=1)
    sharp[40:44, 50:54] = 8
    truth, blurred = sharp.clip(0, 1), convolve(tensor(sharp), tensor(KERNEL), "valid").clamp(0, 1)
    truth = truth[7:-7, 7:-7]

    def error(image):
        return float((image[0, 0].clamp(0, 1) - tensor(truth)[0, 0]).square().mean())

    def solved(data):
        if learned:
            return restore(data, tensor(KERNEL), 0.003, find_restorer(torch.device("cpu")))
        return deconvolve(data, tensor(KERNEL), strength_for(0.003))

    unaware = solved(0.9 * blurred) / 0.9
    assert error(solved(blurred)) < 0.5 * error(unaware)


# --- for any weights


def test_rounds_follow_scale_and_offset_of_the_intensities(net):
    blurred = tensor(simulate(0.3 + 0.3 * blocks(64, 64), KERNEL, noise=0.005).blurred)
    moved = 0.7 * blurred + 0.15
    answers = []
    for image, scale in ((blurred, 1.0), (moved, 0.7)):
        observation, noise = pad_periodic(image, KERNEL.shape), torch.tensor([0.01 * scale])
        answers.append([*rounds(observation, tensor(KERNEL), observation.canvas, noise, net)][-1])
    torch.testing.assert_close(answers[1], 0.7 * answers[0] + 0.15, atol=2e-5, rtol=0)


def test_strips_are_as_good_as_the_whole(net, monkeypatch):
    blurred, kernel = torch.rand(1, 3, 150, 40), tensor(KERNEL)
    whole = restore(blurred, kernel, 0.02, net)
    monkeypatch.setattr(learned_solve, "STRIP", 36)
    torch.testing.assert_close(restore(blurred, kernel, 0.02, net), whole, atol=1e-5, rtol=1e-5)


def test_nothing_has_influence_beyond_the_reach(net):
    changes, levels = torch.zeros(1, FITS, 160, 8), torch.full((1, 2 + FITS), 0.1)
    touched = changes.clone()
    touched[..., :4, :] = 1
    change = (net(touched[:, :1], touched, levels) - net(changes[:, :1], changes, levels)).abs().amax((0, 1, 3))
    assert change[:4].max() > 0
    assert change[4 + net.reach :].max() == 0


def test_every_colour_order_of_red_and_blue_is_the_same_problem(net):
    """The opponent colours are orthonormal, and the second only changes its sign."""
    basis = torch.tensor(learned_solve.OPPONENT)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3))


# --- the shipped weights


def shipped():
    net = find_restorer(torch.device("cpu"))
    assert net is not None
    return net


def test_a_sharp_image_comes_back():
    sharp = tensor(samples.cat()[60:160, 120:220, 1] / 255)
    point = torch.ones(1, 1, 1, 1)
    image = restore(sharp, point, 0.002, shipped())
    assert metrics.psnr(image[0, 0].numpy(), sharp[0, 0].numpy(), peak=1) > 42


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_it_is_better_than_total_variation(noise):
    sharp = samples.cat()[60:188, 120:248] / 255
    made = simulate(sharp, KERNEL, noise=noise, boundary="valid")
    blurred, kernel = tensor(made.blurred), tensor(KERNEL)
    learned, plain = restore(blurred, kernel, noise, shipped()), deconvolve(blurred, kernel, strength_for(noise))
    scores = [metrics.psnr(x[0].movedim(0, -1).numpy(), made.sharp, peak=1) for x in (learned, plain)]
    assert scores[0] > scores[1] + 0.1


def test_grey_in_three_channels_stays_grey():
    grey = simulate(blocks(64, 64), KERNEL, noise=0.01).blurred
    image = restore(tensor(grey).expand(1, 3, -1, -1), tensor(KERNEL), 0.01, shipped())
    assert float(image.std(1).max()) < 2e-3


def test_provenance_names_the_restorer():
    blurred, hashes = simulate(blocks(32, 32), KERNEL, noise=0.01).blurred, []
    for deconvolution in ("network", "tv"):
        result = gp.known_kernel(blurred, KERNEL, settings={"deconvolution": deconvolution})
        hashes.append(result.provenance.arguments["networks"])
    assert hashes == [{"restorer": restorer_card().sha256}, {}]


def test_settings_choose_between_learned_and_total_variation():
    made = simulate(blocks(64, 64), KERNEL, noise=0.01)
    learned, plain = (
        gp.known_kernel(made.blurred, KERNEL, settings={"deconvolution": f}).image for f in ("network", "tv")
    )
    assert np.abs(learned - plain).max() > 1e-3


def test_changed_weights_are_refused_and_it_is_no_prior(tmp_path, monkeypatch):
    folder = next(folder for folder in store.folders() if (folder / "restorer.json").exists())
    for ending in ("json", "safetensors"):
        shutil.copy(folder / f"restorer.{ending}", tmp_path)
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    assert store.list_priors() == []
    with pytest.raises(ModelError, match="not a prior"):
        store.load_prior("restorer")
    assert isinstance(find_restorer(torch.device("cpu")), Restorer)
    weights = tmp_path / "restorer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    card = json.loads((tmp_path / "restorer.json").read_text())
    (tmp_path / "restorer.json").write_text(json.dumps({**card, "metrics": {}}))  # not the one in memory
    with pytest.raises(ModelError, match="SHA-256"):
        find_restorer(torch.device("cpu"))
    (tmp_path / "restorer.json").unlink()
    assert find_restorer(torch.device("cpu")) is None


# --- training


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(restorers, "CANVAS", 48)
    monkeypatch.setattr(restorers, "random_kernel", lambda rng: blur.shake(5, rng, 5))
    images = np.stack([(255 * blocks(36, 36, seed)).astype(np.uint8) for seed in range(8)])[:, None]
    values = {"steps": 3, "batch": 2, "validation_fraction": 0.25, "width": 8, "device": "cpu"}
    settings = TrainingSettings.checked(values)
    return restorers.RestorerTask(data.split(images, "image", "blocks", held_out=0.25), settings)


def test_problems_fit_their_truth_in_any_posture(small):
    whole = small.problems
    for x in (whole, whole.augmented(True, (2,), False), whole.augmented(False, (2, 3), True)):
        model = convolve(x.truth, x.kernel)
        kernel_side = 5  # the truth ends with the image
        well_inside = torch.nn.functional.avg_pool2d(x.inside.float(), 2 * kernel_side + 1, 1, kernel_side) == 1
        error = ((model.clamp(0, 1) - x.canvas) * well_inside).square().sum((1, 2, 3)) / well_inside.sum((1, 2, 3))
        assert float((error.sqrt() / x.noise.clamp(min=0.01)).median()) < 1.5


def test_a_restorer_is_trained_and_stored(small, tmp_path, monkeypatch):
    *_, _ = running = list(
        run(small, "mine", tmp_path, license_weights="-", license_data="-", recipe="", overwrite=False)
    )
    assert len(running) == 3
    card = json.loads((tmp_path / "mine.json").read_text())
    assert card["kind"] == "restorer"
    assert {"psnr_start_db", "psnr_db"} <= set(card["metrics"])
    assert card["sha256"] == hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    assert find_restorer(torch.device("cpu")).rounds == 2
