"""Requests: what is kept of a run's arguments does the run again, as a file, as a script and as a command."""

import shlex

import numpy as np
import pytest
import tifffile

import napari_genprior as gp
from images import blocks
from napari_genprior import cli
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.core.image_io import as_type, read_image, write_image
from napari_genprior.pipeline import request_export
from napari_genprior.settings import ClassicalSettings

ARGUMENTS = {
    "method": "known-kernel", "seed": 3, "device": "auto", "time_limit_s": None, "settings": {"regularization": 2.0},
}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    kernel = gp.blur.motion(5, 20)
    blurred = gp.simulate((blocks() * 255).astype(np.uint8), kernel, noise=0.005, seed=0).blurred
    write_image(tmp_path / "it's blurred.png", as_type(blurred, np.dtype(np.uint8)))
    write_image(tmp_path / "kernel.tif", kernel)
    return str(tmp_path / "it's blurred.png"), str(tmp_path / "kernel.tif"), tmp_path / "it's blurred-deblurred.png"


@pytest.fixture
def expected(files):
    image, kernel = read_image(files[0]), read_image(files[1])
    return as_type(gp.deblur(image, kernel=kernel, **ARGUMENTS).image, image.dtype)


def test_a_saved_request_comes_back_without_the_kernel(tmp_path):
    request = ARGUMENTS | {"kernel_size": (9, 7)}
    request_export.save(tmp_path / "request.json", request | {"kernel": np.ones((3, 3))})
    assert request_export.load(tmp_path / "request.json") == request | {"kernel_size": [9, 7]}


def test_settings_alone_are_a_request_too(tmp_path):
    (tmp_path / "settings.json").write_text('{"regularization": 2}')
    assert request_export.load(tmp_path / "settings.json") == {"settings": {"regularization": 2}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "JSON object"),
        ("{", "not JSON"),
        ('{"method": "auto", "kernle": 3}', "unknown entry 'kernle'"),
        ('{"method": ["a"]}', "have the method"),
        ('{"method": "auto", "settings": [1]}', "names and values"),
        ('{"method": "auto", "depth": "planes", "mode": "2d"}', "both were given"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(InputError, match=words):
        request_export.load(tmp_path / "request.json")


def test_names_of_the_first_edition_are_translated(tmp_path):
    (tmp_path / "request.json").write_text(
        '{"method": "blind", "depth": "volume", "kernels": "one", "tile": 64, "voxel_um": [1, 1, 1], "budget_s": 5}'
    )
    assert request_export.load(tmp_path / "request.json") == {
        "method": "auto", "mode": "3d", "kernel_per": "stack", "tile_size": 64, "voxel_size_um": [1, 1, 1],
        "time_limit_s": 5,
    }  # fmt: skip


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.json"):
        request_export.load(tmp_path / "none.json")


def test_arguments_at_their_default_are_left_out():
    assert request_export.drop_defaults(ARGUMENTS) == {
        "method": "known-kernel",
        "seed": 3,
        "settings": {"regularization": 2.0},
    }
    assert request_export.drop_defaults({"method": "auto", "kernel_size": "auto", "settings": {}}) == {}


def test_the_script_does_the_run_again(files, expected, capsys):
    source, kernel, output = files
    exec(request_export.as_script(ARGUMENTS, source, kernel), {})  # our own text, made two lines above
    np.testing.assert_array_equal(read_image(output), expected)
    assert capsys.readouterr().out


def test_the_command_does_the_run_again(files, expected):
    source, kernel, output = files
    command = shlex.split(request_export.as_command(ARGUMENTS, source, kernel))
    assert command[0] == "genprior"
    assert cli.main(command[1:]) == 0
    np.testing.assert_array_equal(read_image(output), expected)


def test_script_and_command_name_kernel_and_mask():
    assert request_export.as_command({}, "a.tif", "k.tif", "m.tif").endswith("--kernel k.tif --mask m.tif")
    assert "kernel='k.tif', mask='m.tif'" in request_export.as_script({}, "a.tif", "k.tif", "m.tif")
    assert "mask" not in request_export.as_script({}, "a.tif", None)


def test_a_command_with_every_kind_of_argument():
    command = request_export.as_command(
        {"kernel_size": (9, 7), "time_limit_s": 2.5, "settings": {"regularization": 0.5}}, "a b.tif", None
    )
    assert command == (
        "genprior deblur 'a b.tif' -o 'a b-deblurred.tif' --kernel-size 9x7 --time-limit 2.5 "
        "--setting regularization=0.5"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"axes": "TYX"},
        {"axes": "ZYX", "mode": "3d", "voxel_size_um": (0.3, 0.1, 0.1)},
        {"tiles": (2, 2)},
    ],
)
def test_script_and_command_of_a_run_over_a_stack_and_of_one_with_tiles(tmp_path, more, capsys):
    stack = np.stack([(blocks(96, 100, seed) * 255).astype(np.uint8) for seed in range(4)])
    kernels = {"TYX": np.ones((1, 3)), "ZYX": np.ones((3, 1, 1)), None: np.ones((2, 2, 1, 3))}
    source, kernel = str(tmp_path / "s.tif"), str(tmp_path / "k.tif")
    tifffile.imwrite(source, stack[0] if "tiles" in more else stack, photometric="minisblack")
    tifffile.imwrite(kernel, kernels[more.get("axes")].astype(np.float32), photometric="minisblack")
    request = ({"seed": 3} if "mode" in more else ARGUMENTS) | more
    exec(request_export.as_script(request, source, kernel), {})  # our own text, made just now
    assert capsys.readouterr().out
    done = tifffile.imread(tmp_path / "s-deblurred.tif")
    command = shlex.split(request_export.as_command(request, source, kernel))
    assert cli.main(command[1:]) == 0
    assert done.shape == (stack[0] if "tiles" in more else stack).shape
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "s-deblurred.tif"), done)
    assert not np.array_equal(done, tifffile.imread(source))


def test_a_request_and_options_on_the_command_line(files, expected, tmp_path, capsys):
    source, kernel, _ = files
    request_export.save(tmp_path / "request.json", ARGUMENTS | {"settings": {"regularization": 9.0}})
    words = ["deblur", source, "-o", str(tmp_path / "o.png"), "--kernel", kernel, "--settings"]
    assert cli.main([*words, str(tmp_path / "request.json"), "--setting", "regularization=2"]) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "o.png"), expected)
    assert cli.main([*words, str(tmp_path / "request.json"), "--method", "classical"]) == 2
    assert "is for method 'known-kernel', not 'classical'" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "request.json"), "--setting", "regularization"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_text_that_no_file_can_hold_is_refused():
    with pytest.raises(InputError, match="half a character"):
        ClassicalSettings.checked({"kernel_prior": "\ud800"})
