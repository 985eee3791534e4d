"""Messages of the terminal name options, not Python."""

import re

import numpy as np
import pytest

from napari_genprior.cli import genprior, main
from napari_genprior.cli.wording import OPTIONS, in_options
from napari_genprior.core.image_io import write_image

PYTHON = re.compile(r"\b\w+=['(]|numpy|voxel_size_um|tile_size|kernel_per|kernel_size|time_limit_s|deblur_stack")


def test_every_argument_is_named_by_an_option_that_there_is():
    deblur, batch = genprior.commands["deblur"], genprior.commands["batch"]
    names = {name for command in (deblur, batch) for option in command.params for name in option.opts}
    assert set(OPTIONS.values()) <= names


@pytest.mark.parametrize(
    ("python", "terminal"),
    [
        ("Say which: axes='TYX', for example.", "Say which: --axes TYX, for example."),
        ("give tiles=(2, 3), or", "give --tiles 2x3, or"),
        ("pass kernel= (or choose", "pass --kernel (or choose"),
        ("got kernel_size=15. Leave", "got --kernel-size 15. Leave"),
        ("leave out transfer_function='srgb'.", "leave out --setting transfer_function=srgb."),
        ("replace them (numpy.nan_to_num) first.", "replace them first."),
        ("voxel_size_um must be three lengths", "--voxel-size must be three lengths"),
        ("Say which: series=1, for example.", "Say which: --series 1, for example."),
        ("/data/kernel_size=3/a.tif is 'kernel_per'", "/data/kernel_size=3/a.tif is 'kernel_per'"),
        ("the kernel and the mode of a seed", "the kernel and the mode of a seed"),
    ],
)
def test_arguments_become_options(python, terminal):
    assert in_options(python) == terminal


@pytest.mark.parametrize(
    "options",
    [
        "", "--axes XY", "--mode 3d", "--tiles 3x3", "--tile-size 3", "--kernel-per frame", "--voxel-size 1,2,0",
        "--time-limit -1", "--method known-kernel", "--kernel-size 0", "--method project --tiles 1x1", "--series 7",
        "--mode 3d --kernel-size 5", "--restarts 3", "--setting nothing=1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["stack.npy", "odd.npy", "nan.tif", "line.npy"])
@pytest.mark.slow
def test_no_message_names_python(tmp_path, monkeypatch, capsys, options, name):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).random((3, 20, 24), dtype=np.float32)
    np.save("stack.npy", noise)
    np.save("odd.npy", noise[:2, :6, :6])
    np.save("line.npy", noise[0, 0])
    write_image("nan.tif", np.where(noise[0] > 0.9, np.nan, noise[0]).astype(np.float32))
    assert main(["deblur", name, "-o", "out.tif", "--quiet", *options.split()]) != 1
    said = capsys.readouterr().err
    assert not PYTHON.search(said), said
