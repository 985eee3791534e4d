"""The microscopy benchmark: its data, its metric, its own Richardson-Lucy, and what its tables hold."""

import os
import sys

import numpy as np
import pytest

import napari_genprior as gp
from napari_genprior.evaluation import benchmark_microscopy as bench
from napari_genprior.evaluation import benchmark_microscopy_cases as cases
from napari_genprior.evaluation import benchmark_microscopy_peers as peers
from napari_genprior.evaluation import benchmark_microscopy_psf as psf_parts


def all_of(report):
    """The lines and the rows of a report."""
    lines = []
    while True:
        try:
            lines.append(next(report))
        except StopIteration as end:
            return lines, end.value


def gaussian_case(shape, sigma, photons=1000):
    """Blobs under a Gaussian PSF, recorded by the camera."""
    rng = np.random.default_rng(0)
    psf = np.ones(1)
    for _ in shape:
        psf = np.multiply.outer(psf, np.exp(-((np.arange(9) - 4) ** 2) / (2 * sigma**2)))
    psf = psf[0] / psf.sum()
    full = cases.padded_shape(shape, psf.shape)
    sharp = (rng.random(full) > 0.98) * rng.uniform(0.3, 1, full)
    truth, data = cases.record(sharp, psf, photons, rng)
    return cases.Case("blobs", truth, data, psf)


@pytest.mark.parametrize("shape", [(48, 40), (16, 32, 28)])
def test_richardson_lucy_approaches_the_truth_and_keeps_its_place(shape):
    case = gaussian_case(shape, 1.5)
    scores = {steps: case.score(image) for steps, image in peers.richardson_lucy(case.above_offset, case.psf, (3, 30))}
    assert list(scores) == [3, 30]
    assert scores[30][0] > max(case.score(case.data)[0], scores[3][0])
    (_, image), *_ = peers.richardson_lucy(case.above_offset, case.psf, (30,))
    assert image.shape == shape
    assert case.score(image)[0] > case.score(np.roll(image, 1, -1))[0]


def test_scores_do_not_depend_on_gain_and_offset_and_leave_out_the_border():
    case = gaussian_case((48, 40), 1.5)
    before = case.score(case.data)
    assert case.score(3.0 * case.data - 700) == pytest.approx(before)
    changed = case.data.copy()
    changed[:2] = 0
    assert case.score(changed)[0] == before[0]
    assert case.score(case.truth)[0] > 200
    assert np.isfinite(case.score(np.zeros_like(case.truth))).all()


@pytest.mark.parametrize("kind", ["cells", "filaments", "beads"])
def test_scenes_are_sharp_volumes_that_seeds_repeat(kind):
    first, again = (cases.scene(kind, (12, 40, 36), 3.0, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.shape == (12, 40, 36)
    assert first.min() >= 0
    assert first.max() > 0.3


def test_the_camera_adds_its_offset_and_both_noises():
    data = cases.camera(np.full((200, 200), 50.0), np.random.default_rng(0))
    assert data.dtype == np.uint16
    assert data.mean() == pytest.approx(cases.OFFSET + 50, abs=0.5)
    assert data.std() == pytest.approx(np.sqrt(50 + cases.READ_NOISE_STD**2), rel=0.03)


def test_a_gaussian_has_the_half_widths_of_the_psf():
    psf = gaussian_case((16, 16, 16), 1.3).psf
    assert np.abs(psf_parts.gaussian_like(psf) - psf).sum() < 0.05
    assert psf_parts.kernel_distance(psf, psf[1:-1, 1:-1, 1:-1]) < 1e-6


def test_the_table_of_known_psfs_compares_with_each_peer(monkeypatch):
    case = gaussian_case((16, 32, 28), 1.0, photons=300)
    monkeypatch.setattr(bench, "volumes", lambda size, folder: iter([case]))
    monkeypatch.setattr(bench, "installed", lambda: {peers.RICHARDSON_LUCY: (peers.richardson_lucy, (10, 30))})
    lines, rows = all_of(bench.lines(("known",), None, "small", 1))
    ours, theirs = rows
    assert (ours.method, theirs.method) == ("known-kernel", peers.RICHARDSON_LUCY)
    assert set(theirs.metrics) == {"PSNR, dB", "SSIM"}
    difference = ours.metrics["PSNR, dB"] - theirs.metrics["PSNR, dB"]
    assert ours.metrics["difference to the best peer, dB"] == pytest.approx(difference)
    assert ours.metrics["images below input"] == (ours.metrics["PSNR, dB"] < ours.blurred)
    assert ours.images[0]["best peer"] == peers.RICHARDSON_LUCY
    assert ours.images[0][f"{peers.RICHARDSON_LUCY}, steps"] in (10, 30)
    assert sum("blobs" in line for line in lines) >= 3


@pytest.mark.skipif(os.name == "nt", reason="the program of this test is a script")
def test_deconwolf_gets_its_files_and_steps_and_its_failure_is_told(tmp_path, monkeypatch):
    program = tmp_path / "dw"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, tifffile\n"
        "options, (data, psf) = sys.argv[1:-2], sys.argv[-2:]\n"
        "steps, target = int(options[options.index('--iter') + 1]), options[options.index('--out') + 1]\n"
        "sys.exit('no such step') if steps > 50 else None\n"
        "tifffile.imwrite(target, tifffile.imread(data) * steps * tifffile.imread(psf).sum())\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert peers.DECONWOLF in peers.installed()
    data = np.random.default_rng(0).random((6, 8, 9)).astype(np.float32)
    psf = np.full((3, 3, 3), 1 / 27)
    results = dict(peers.deconwolf(data, psf, (10, 30)))
    assert list(results) == [10, 30]
    assert results[30] == pytest.approx(30 * data, rel=1e-5)
    with pytest.raises(RuntimeError, match="no such step"):
        list(peers.deconwolf(data, psf, (100,)))


def test_peers_that_are_not_installed_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert any(line.startswith("deconwolf: skipped") for line in peers.skipped_lines())
    assert peers.DECONWOLF not in peers.installed()


def test_wrong_optics_give_wrong_psfs():
    (_, true), *wrong = psf_parts.wrong_psfs(cases.OIL, (7, 15, 15))
    assert [name for name, _ in wrong] == ["na", "ri", "dz", "wvl", "gauss"]
    for _, psf in wrong:
        assert psf.sum() == pytest.approx(1, abs=1e-5)
        assert psf_parts.kernel_distance(psf, true) > 0.01


def test_a_folder_without_the_bars_is_refused(tmp_path):
    with pytest.raises(gp.core.errors.InputError, match="flowdec"):
        cases.bars(tmp_path)


@pytest.mark.slow
def test_the_command_line_restores_a_volume_and_counts_noise(tmp_path):
    lines, rows = all_of(bench.lines(("known",), None, "small", 1))
    assert lines[-1].startswith("known-kernel below the input: 0 of 1")
    assert rows[0].metrics["PSNR, dB"] > rows[0].blurred + 1
    _, (known, blind) = all_of(bench.noise_lines("small", 1))
    assert (known.method, blind.method) == ("known PSF", "blind")
    assert known.images[0]["known PSF"] in {"improved", "doubtful", "no improvement"}


@pytest.mark.slow
def test_thin_objects_are_restored_from_the_command_line(tmp_path, capsys):
    from napari_genprior.cli import main

    target = tmp_path / "rows.json"
    assert main(["bench", "microscopy", "--part", "plain", "--count", "1", "--json", str(target)]) == 0
    assert "thin_oil_1000" in capsys.readouterr().out
    assert target.exists()
