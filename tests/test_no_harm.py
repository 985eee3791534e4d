"""No harm: flux, types and shapes are preserved, and no input is changed or overwritten."""

import os

import numpy as np
import pytest
import tifffile

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.lazy_io import open_lazy
from napari_genprior.core.result import REJECTED_ESTIMATE, VerdictLabel
from napari_genprior.core.tiled_io import write_image_file

KERNEL = gp.blur.motion(7, 30)
SHARP = 0.05 + 0.8 * blocks(64, 64)
BLIND = {
    "classical": {"kernel_size": 9},
    "known-kernel": {"kernel": KERNEL},
    "selfdeblur": {"kernel_size": 9, "steps": 2},
    "generator": {"image_prior": "nuclei-64", "steps": 20, "restarts": 1},
    "relaxed": {"image_prior": "nuclei-64", "steps": 20, "restarts": 1},
}


def blurred_as(dtype, factor=1.0, offset=0.0):
    blurred = gp.simulate(SHARP, KERNEL, noise=0.005, seed=0, clip=False).blurred * factor + offset
    return np.rint(blurred).astype(dtype) if np.dtype(dtype).kind in "ui" else blurred.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("method", BLIND)
def test_flux_is_preserved_by_every_method(method):
    blurred = blurred_as(np.float32)
    result = gp.deblur(blurred, method, **BLIND[method])
    assert result.found.mean() == pytest.approx(blurred.mean(), rel=1e-3)
    assert result.image.mean() == pytest.approx(blurred.mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("dtype", "factor", "offset"),
    [(np.uint8, 255, 0), (np.uint16, 900, 100), (np.uint16, 60000, 0), (np.int16, 900, -300), (np.float64, 1e-3, 0)],
)
def test_flux_is_preserved_in_every_type_even_as_it_is_written(dtype, factor, offset):
    blurred = blurred_as(dtype, factor, offset)
    result = gp.known_kernel(blurred, KERNEL)
    spread = abs(blurred.astype(float)).mean()
    assert result.image.mean() == pytest.approx(blurred.mean(), abs=1e-3 * spread)
    assert io.as_type(result.image, np.dtype(dtype)).mean() == pytest.approx(blurred.mean(), abs=1e-3 * spread)


def test_flux_is_preserved_in_each_channel():
    grey = blurred_as(np.float32)
    colour = np.stack([grey, 0.5 * grey, 0.9 - grey], -1)
    result = gp.known_kernel(colour, KERNEL)
    np.testing.assert_allclose(result.image.mean((0, 1)), colour.mean((0, 1)), rtol=1e-3)


def test_the_flux_of_saturated_images_is_not_matched():
    bright = np.full((64, 64), 0.1, np.float32)
    bright[20:24, 20:24] = 40
    blurred = np.clip(gp.simulate(bright, KERNEL, noise=1e-4, seed=0, clip=False).blurred, 0, 1)
    assert (blurred >= 1).mean() > 1e-3
    result = gp.known_kernel(blurred, KERNEL)
    assert result.image.mean() > 1.001 * blurred.mean()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["classical", "known-kernel", "relaxed"])
def test_inputs_are_not_changed(method):
    blurred, kernel = blurred_as(np.float32), KERNEL.copy()
    before = blurred.copy()
    arguments = BLIND[method] | ({"kernel": kernel} if "kernel" in BLIND[method] else {})
    blurred.flags.writeable = False  # a write would raise
    result = gp.deblur(blurred, method, **arguments)
    np.testing.assert_array_equal(blurred, before)
    np.testing.assert_array_equal(kernel, KERNEL)
    assert not np.shares_memory(result.image, blurred)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_input_that_is_returned_is_equal_in_every_value_and_a_copy(dtype):
    factor = {"u": 200, "f": 1}[np.dtype(dtype).kind]
    colour = np.stack([SHARP, SHARP.T, SHARP[::-1], np.full_like(SHARP, 0.5)], -1) * factor
    colour = colour.astype(dtype)
    result = gp.deblur(colour)
    assert result.verdict.label is VerdictLabel.REJECTED, result.verdict.sentence
    np.testing.assert_array_equal(io.as_type(result.image, colour.dtype), colour)
    assert not np.shares_memory(result.image, colour)
    assert result.extra_images[REJECTED_ESTIMATE].shape == colour.shape


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harm")
    io.write_image(folder / "in.tif", blurred_as(np.uint16, 900, 100))
    io.write_image(folder / "k.tif", KERNEL)
    (folder / "s.json").write_text("{}")
    os.link(folder / "in.tif", folder / "hard.tif")
    (folder / "soft.tif").symlink_to(folder / "in.tif")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        "-o in.tif", "-o hard.tif", "-o soft.tif", "-o ./in.tif", "-o k.tif --kernel k.tif",
        "-o out.tif --kernel-out in.tif", "-o out.tif --report s.json --settings s.json",
        "-o out.tif --kernel-out hard.tif", "-o out.tif --kernel-out out.tif",
        "-o out.tif --kernel k.tif --report k.tif",
    ],
)  # fmt: skip
def test_no_output_overwrites_an_input_under_any_name(files, monkeypatch, capsys, arguments):
    monkeypatch.chdir(files)
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    assert main(["deblur", "in.tif", "--quiet", *arguments.split()]) == 2
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before
    assert "Give another name" in (message := capsys.readouterr().err) or "its own name" in message


def test_an_output_file_has_the_type_and_shape_of_the_input(files, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["deblur", "in.tif", "-o", "result.tif", "--kernel", "k.tif", "--quiet"]) == 0
    given, result = io.read_image("in.tif"), io.read_image("result.tif")
    assert (result.dtype, result.shape) == (given.dtype, given.shape)
    assert result.mean() == pytest.approx(given.mean(), rel=1e-3)


def with_scale(path, image, kind):
    """Write a TIFF as ImageJ or a microscope (OME) does: 0.1 x 0.2 um."""
    if kind == "ImageJ":
        scale = {"resolution": (1 / 0.2, 1 / 0.1), "metadata": {"unit": "um"}, "imagej": True}
    else:
        sizes = {f"PhysicalSize{axis}": size for axis, size in (("X", 0.2), ("Y", 0.1))}
        scale = {"metadata": sizes | {"axes": "YXS"[: image.ndim]}, "ome": True}
    tifffile.imwrite(path, image, photometric="minisblack" if image.ndim == 2 else "rgb", **scale)


def pixel_size(path):
    with open_lazy(path) as opened:
        return opened.pixel_size


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("kind", ["ImageJ", "OME"])
def test_pixel_size_and_unit_are_copied_from_file_to_file(tmp_path, kind, dtype):
    given = blurred_as(dtype, *{"u": (200, 20), "f": (1e-3, 0)}[np.dtype(dtype).kind])
    with_scale(tmp_path / "in.tif", given, kind)
    io.write_image(tmp_path / "k.tif", KERNEL)
    outputs = f"-o {tmp_path}/out.tif --kernel-out {tmp_path}/found.tif"
    assert main(["deblur", f"{tmp_path}/in.tif", "--kernel", f"{tmp_path}/k.tif", "--quiet", *outputs.split()]) == 0
    assert main(["batch", f"{tmp_path}/in.tif", "-o", f"{tmp_path}/many", "--kernel", f"{tmp_path}/k.tif"]) == 0
    (batched,) = (tmp_path / "many").glob("in*.tif")
    for path in (tmp_path / "out.tif", batched):
        result = io.read_image(path)
        assert (result.dtype, result.shape) == (given.dtype, given.shape)
        assert result.mean() == pytest.approx(given.mean(), rel=1e-3)
        with open_lazy(path) as opened:
            assert opened.pixel_size == pytest.approx({"Y": 0.1, "X": 0.2})
            assert set(opened.units.values()) == {"micrometer"}
    assert pixel_size(tmp_path / "found.tif") == pytest.approx({"Y": 0.1, "X": 0.2})
    np.testing.assert_allclose(io.read_image(tmp_path / "found.tif"), KERNEL, atol=1e-7)


def test_pixel_size_of_colour_images_and_of_files_without_one(tmp_path):
    colour = np.stack([blurred_as(np.uint8, 200, 20)] * 3, -1)
    with_scale(tmp_path / "in.tif", colour, "OME")
    with open_lazy(tmp_path / "in.tif") as like:
        write_image_file(tmp_path / "out.tif", colour, like)
        write_image_file(tmp_path / "out.png", colour, like)
    np.testing.assert_array_equal(io.read_image(tmp_path / "out.tif"), colour)
    assert pixel_size(tmp_path / "out.tif") == pytest.approx({"Y": 0.1, "X": 0.2})
    assert pixel_size(tmp_path / "out.png") == {}
