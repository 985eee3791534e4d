"""The papers' studies on tiny linear priors: rows, resumption, what is refused, and the plot."""

import csv
import json

import numpy as np
import pytest

from napari_genprior.cli import main
from napari_genprior.core.image_io import read_image
from napari_genprior.evaluation import study_cases as cases
from napari_genprior.evaluation import study_plot as plot
from napari_genprior.evaluation import study_run as run
from napari_genprior.evaluation.study_table import STUDIES
from napari_genprior.zoo import store
from test_proposals import KERNEL_SIZE, SIZE, install

VALUES = {
    "restarts": ("1", "2"),
    "noise": ("0.01", "0.1"),
    "blur-length": ("2", "5"),
    "latent": ("waves", "other"),
    "range-error": ("0.01", "0.05"),
    "gaussian": ("0.5", "1"),
    "large-noise": ("0.1", "0.5"),
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two linear image priors and a kernel prior, and a folder for the studies."""
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setattr(store, "folders", lambda: [weights])
    install(weights, "waves", "image", 0)
    install(weights, "other", "image", 2)
    install(weights, "smears", "kernel", 1)
    return tmp_path


def study(world, name, *more, values=None):
    """Run a study of two images, and return the exit code."""
    flag = "--image-prior" if name == "latent" else "--x"
    chosen = [word for value in values or VALUES[name] for word in (flag, value)]
    priors = ["--sample-from", "waves"] if name == "latent" and "--data" not in more else []
    if name != "latent":
        priors += ["--image-prior", "waves"]
    common = ["--kernel-prior", "smears", "--count", "2", "--steps", "20", "-o", str(world / "out")]
    if STUDIES[name].varies != "restarts":
        common += ["--restarts", "2"]
    return main(["study", name, *chosen, *priors, *common, *more])


def rows(world, name):
    with (world / "out" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def keys(found):
    return [(row["image"], row["value"], row["truth"], row["method"]) for row in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_each_study_writes_its_rows_a_summary_and_a_plot(world, name, capsys):
    assert study(world, name) == 0
    output = capsys.readouterr().out
    assert "sampled from waves" in output
    assert "without alignment" in output
    found = rows(world, name)
    truths = ("given", "range") if name == "range-error" else ("given",)
    assert keys(found) == [(p, v, t, "generator") for p in "01" for v in VALUES[name] for t in truths]
    for row in found:
        assert 5 < float(row["psnr"]) <= float(row["psnr_aligned"]) + 1e-3
        assert float(row["mse"]) == pytest.approx(10 ** (-float(row["psnr"]) / 10), rel=1e-3)
        assert float(row["kernel_error"]) >= 0
        assert 0 <= float(row["residual"]) < 1
        assert (row["range_psnr"] != "nan") == (name == "range-error")
    with (world / "out" / f"{name}-summary.csv").open(newline="") as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == 2 * len(truths)
    assert {row["count"] for row in summary} == {"2"}
    first = [float(row["psnr"]) for row in found if (row["value"], row["truth"]) == (VALUES[name][0], "given")]
    (mean,) = (row for row in summary if (row["value"], row["truth"]) == (VALUES[name][0], "given"))
    assert float(mean["psnr_mean"]) == pytest.approx(np.mean(first), rel=1e-4)
    assert float(mean["psnr_std"]) == pytest.approx(np.std(first), abs=1e-3)
    image = read_image(world / "out" / f"{name}.png")
    assert image.shape[-1] == 3
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 3


@pytest.mark.slow
def test_a_killed_study_resumes(world, capsys):
    path = world / "out" / "noise.csv"
    assert study(world, "noise") == 0
    whole = path.read_text()

    def metrics():
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows(world, "noise")]

    complete = metrics()
    assert study(world, "noise") == 0
    assert path.read_text() == whole
    assert "4 of them exist" in capsys.readouterr().out
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][: len(lines[3]) // 2])  # killed in the middle of a row
    assert study(world, "noise") == 0
    assert "2 of them exist" in capsys.readouterr().out
    assert path.read_text().startswith("".join(lines[:3]))
    assert metrics() == complete
    assert (
        study(
            world,
            "noise",
            *("--method", "project", "--method", "generator", "--method", "project"),
            values=("0.1", "0.2"),
        )
        == 0
    )
    assert metrics()[:4] == complete
    assert len(set(keys(rows(world, "noise")))) == len(rows(world, "noise")) == 10
    added = [("0", "0.1", "project"), ("0", "0.2", "project"), ("0", "0.2", "generator")]
    assert [key[:2] + key[3:] for key in keys(rows(world, "noise"))[4:7]] == added


def test_an_interrupted_study_keeps_its_rows_and_says_so(world, monkeypatch, capsys):
    measure, left = run.Run.measure, iter([True, True])

    def interrupted(self, *key):
        if not next(left, False):
            raise KeyboardInterrupt
        return measure(self, *key)

    monkeypatch.setattr(run.Run, "measure", interrupted)
    assert study(world, "noise") == 130
    assert "repeat the command to resume" in capsys.readouterr().err
    assert len(rows(world, "noise")) == 2


@pytest.mark.slow
def test_rows_of_other_settings_are_refused(world, capsys):
    path = world / "out" / "noise.csv"
    assert study(world, "noise") == 0
    before = path.read_text()
    assert study(world, "noise", "--seed", "1") == 2
    assert "holds rows of other settings (seed: 0 in the file, 1 requested)" in capsys.readouterr().err
    assert study(world, "noise", "--blur", "blur-b") == 2
    assert path.read_text() == before
    settings = json.loads(path.with_suffix(".json").read_text())
    assert settings["images"]["about"] == "sampled from waves"
    path.write_text(before + "nonsense\n")
    capsys.readouterr()
    assert study(world, "noise") == 2
    assert "noise.csv, line 6, is not a row of a study" in capsys.readouterr().err
    path.write_text("nonsense\n")
    assert study(world, "noise") == 2
    path.write_text(before)
    path.with_suffix(".json").unlink()
    assert study(world, "noise") == 2
    assert path.read_text() == before


@pytest.mark.slow
def test_given_images_are_used(world, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    np.savez(world / "set.npz", x_test=images, grey=images / 255, wide=np.zeros((3, 8, 20), np.uint8))
    data = ["--data", str(world / "set.npz"), "--key", "x_test"]
    assert study(world, "range-error", *data) == 0
    assert "of set.npz (x_test)" in capsys.readouterr().out
    prior = store.load_prior("waves")
    for row in rows(world, "range-error"):
        near = prior.project(images[int(row["image"])][None]).images[0]
        error = np.mean((np.rint(255 * near.clip(0, 1)) - images[int(row["image"])]) ** 2)
        assert float(row["range_psnr"]) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
        if row["truth"] == "given":  # noise is not in the range: no result is better than the closest image
            assert float(row["psnr"]) <= float(row["range_psnr"]) + 0.01
    same = cases.given_images(world / "set.npz", "grey", prior, 3)
    np.testing.assert_array_equal(same.images, images)
    assert study(world, "range-error", *data, "--count", "4") == 2
    assert "holds 3 images; --count is 4" in capsys.readouterr().err
    assert study(world, "range-error", "--data", str(world / "set.npz"), "--key", "wide") == 2
    assert study(world, "range-error", "--data", str(world / "none.npz")) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("noise", ["--x", "2"], "takes from 0 to 1"),
        ("noise", ["--x", "nan"], "takes from 0 to 1"),
        ("blur-length", ["--x", "0.5"], "takes from 1"),
        ("gaussian", ["--blur", "shake"], "is not"),
        ("restarts", ["--x", "0"], "takes whole numbers from 1 to 1000"),
        ("restarts", ["--method", "classical"], "methods with an image prior"),
        ("restarts", ["--x", "1", "--method", "nothing"], "Unknown method"),
        ("noise", ["--image-prior", "other"], "takes one --image-prior"),
        ("noise", ["--image-prior", "smears"], "takes one --image-prior"),
        ("latent", ["--image-prior", "waves"], "may be given once"),
        ("noise", ["--kernel-prior", "waves"], "must be a prior of square kernels"),
        ("noise", ["--kernel-prior", "gone"], "There is no prior"),
        ("noise", ["--sample-from", "smears"], "give an image prior to sample"),
        ("noise", ["--data", "x.npz", "--sample-from", "waves"], "not both"),
        ("noise", ["--count", "0"], "--count"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(world, name, arguments, complaint, capsys):
    assert study(world, name, *arguments) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (world / "out").exists()


def test_kernels_differ_in_the_varied_quantity_only():
    short, long = (cases.draw_kernel("length", value, "motion-linear", 15, seed=3) for value in (3, 9))
    angles = []
    for kernel in (short, long):
        y, x = np.mgrid[:15, :15] - 7
        moments = np.array([[np.sum(kernel * a * b) for a in (y, x)] for b in (y, x)])
        angles.append(np.linalg.eigh(moments)[1][:, -1])
    assert abs(angles[0] @ angles[1]) > 0.99
    assert (short > 1e-3).sum() < (long > 1e-3).sum()
    drawn = [cases.draw_kernel("noise", value, "shake", KERNEL_SIZE, seed=3) for value in (0.1, 0.5)]
    np.testing.assert_array_equal(*drawn)


def test_a_search_does_not_start_at_the_latents_of_its_image():
    seeds = cases.Seeds.of(0, 0)
    assert len({*vars(seeds).values()}) == 4
    assert cases.Seeds.of(0, 0) == seeds != cases.Seeds.of(0, 1)


def test_plots_omit_points_that_are_not_finite(tmp_path):
    flat = plot.Series("flat", [1, 2, 3], [5, np.inf, 5], [0, 0, np.nan])
    plot.write_plot(
        tmp_path / "a.png", "title", [plot.Panel("x", "y", [flat], diagonal=True), plot.Panel("x", "y", [])]
    )
    assert read_image(tmp_path / "a.png").shape == (plot.HEIGHT, 2 * plot.WIDTH, 3)
