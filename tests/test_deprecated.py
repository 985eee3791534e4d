"""Names of the first edition still work, each with a DeprecationWarning that says what to use."""

import json

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError
from napari_genprior.core.iteration import run_to_end

KERNEL = np.full((3, 5), 1 / 15, np.float32)
PLANES = np.stack([blocks(48, 56, seed) for seed in range(2)])


@pytest.mark.slow
def test_deblur_stack_and_its_arguments():
    expected = gp.deblur(PLANES, axes="TYX", kernel=KERNEL)
    with pytest.warns(DeprecationWarning, match=r"use deblur\(data, axes="):
        result = gp.deblur_stack(PLANES, "TYX", kernel=KERNEL, kernels="one", depth="planes", budget_s=60)
    np.testing.assert_array_equal(result.image, expected.image)
    assert result.provenance.arguments["time_limit_s"] == 60
    with pytest.warns(DeprecationWarning, match="use iter_deblur"):
        run = gp.iter_deblur_stack(PLANES, "TYX", kernel=KERNEL, kernels="plane")
    assert run_to_end(run).kernels.shape == (2, 3, 5)


def test_deblur_large(tmp_path):
    arguments = {"kernel": KERNEL, "axes": "TYX"}
    with pytest.warns(DeprecationWarning, match="tile_size="):
        result = gp.deblur_large(PLANES, tmp_path / "out.tif", tile=64, **arguments)
    assert result.path == tmp_path / "out.tif"
    assert result.provenance.arguments["tile_size"] == 64
    with pytest.warns(DeprecationWarning, match="use iter_deblur"):
        gp.iter_deblur_large(PLANES, tmp_path / "out.tif", **arguments).close()


@pytest.mark.slow
def test_deblur_varying():
    image = np.tile(PLANES[0], (3, 3))
    kernels = np.broadcast_to(KERNEL, (2, 2, 3, 5))
    with pytest.warns(DeprecationWarning, match=r"use deblur\(image, tiles="):
        result = gp.deblur_varying(image, kernel=kernels)
    np.testing.assert_array_equal(result.image, gp.deblur(image, tiles=(2, 2), kernel=kernels).image)
    with pytest.warns(DeprecationWarning, match="use iter_deblur"):
        gp.iter_deblur_varying(image, (2, 2), kernel=kernels).close()


@pytest.mark.slow
def test_deblur_volume():
    volume = np.random.default_rng(0).random((6, 24, 24)).astype(np.float32)
    kernel = np.full((3, 1, 1), 1 / 3)
    with pytest.warns(DeprecationWarning, match="mode='3d'"):
        result = gp.deblur_volume(volume, kernel, voxel_um=(0.3, 0.1, 0.1))
    np.testing.assert_array_equal(result.image, gp.deblur(volume, kernel=kernel, voxel_size_um=(0.3, 0.1, 0.1)).image)
    for mode in ({"depth": "volume"}, {"mode": "3d"}):
        with pytest.warns(DeprecationWarning, match="mode='3d'"):
            assert gp.deblur_volume(volume, kernel, **mode).kernels.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("deblur_stack", {"kernels": np.ones((2, 3, 3))}, "kernel= takes arrays"),
        ("deblur_varying", {"kernels": np.ones((2, 2, 3, 3))}, "kernel= takes arrays"),
        ("deblur_stack", {"kernels": "one", "kernel_per": "stack"}, "both were given"),
        ("deblur_volume", {"depth": "volume", "mode": "3d"}, "both were given"),
    ],
)
def test_arguments_that_names_of_the_first_edition_refuse(function, arguments, words):
    with pytest.warns(DeprecationWarning, match=function), pytest.raises(InputError, match=words):
        getattr(gp, function)(PLANES, **arguments)


@pytest.mark.parametrize(
    ("old", "new"), [("measure", "measure_kernel"), ("optics", "microscope"), ("blur_a", "asim_a")]
)
def test_names_of_blur(old, new):
    with pytest.warns(DeprecationWarning, match=f"now called blur.{new}"):
        assert getattr(gp.blur, old) is getattr(gp.blur, new)


def test_attributes_of_results():
    result = gp.known_kernel(PLANES[0], KERNEL)
    for holder, old, new in (
        (result, "chosen", "selected"), (result, "layers", "extra_images"), (result, "rivals", "candidates"),
        (result.verdict, "word", "label"), (result.verdict, "figures", "features"),
    ):  # fmt: skip
        with pytest.warns(DeprecationWarning, match=rf"\.{old} is now called .*{new}"):
            assert getattr(holder, old) is getattr(holder, new)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", PLANES[0])
    np.save("k.npy", KERNEL)
    return tmp_path


def said_of(words: str, capsys) -> str:
    assert main(words.split()) == 0
    return capsys.readouterr().err


def test_options_of_the_command_line(files, capsys):
    assert said_of("deblur in.npy -o new.npy --kernel k.npy --setting regularization=2 --quiet", capsys) == ""
    old = "deblur in.npy -o old.npy --kernel k.npy --set regularization=2 --budget 60 --kernels one --depth planes "
    said = said_of(old + "--found estimate.npy --report r.json --quiet", capsys)
    for pair in (("--budget", "--time-limit"), ("--kernels", "--kernel-per"), ("--depth", "--mode")):
        assert "DeprecationWarning: {} is deprecated; use {}.".format(*pair) in said
    assert "--found is deprecated; use --estimate-out." in said
    assert "--set is" not in said  # short for --setting
    np.testing.assert_array_equal(np.load("old.npy"), np.load("new.npy"))
    np.testing.assert_array_equal(np.load("estimate.npy"), np.load("new.npy"))
    provenance = json.loads((files / "r.json").read_text())["provenance"]
    assert provenance["arguments"]["time_limit_s"] == 60
    assert provenance["settings"]["regularization"] == 2
    said = said_of("deblur --from r.json -o again.npy --quiet", capsys)
    assert "--from is deprecated; use --rerun." in said
    np.testing.assert_array_equal(np.load("again.npy"), np.load("new.npy"))


def test_options_of_a_batch(files, capsys):
    assert "use --kernel-per" in said_of("batch in.npy -o out --kernel k.npy --kernels one --quiet", capsys)
    assert np.load("out/in.npy").shape == PLANES[0].shape
