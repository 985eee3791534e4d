"""Names that no file system takes, and folders that may not be looked into, end in one sentence."""

from pathlib import Path

import dask.array
import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import paths
from napari_genprior.core.errors import FileError, GenPriorError, InputError
from napari_genprior.core.image_io import write_image

LONG, NUL = "x" * 300, "a\x00b"
IMAGE = blocks(24, 24)


@pytest.mark.parametrize("name", [f"{LONG}.png", f"{NUL}.png"])
@pytest.mark.parametrize(
    "call",
    [
        lambda name: gp.deblur(name),
        lambda name: gp.known_kernel(IMAGE, name),
        lambda name: gp.known_kernel(IMAGE, np.ones((3, 3)), out=name),
        lambda name: gp.known_kernel(IMAGE, np.ones((3, 3)), out=name.replace("png", "zarr")),
        lambda name: gp.DeblurResult.load(name),
        lambda name: write_image(name, IMAGE.astype(np.uint8)),
        lambda name: gp.batch(name, "folder"),
        lambda name: gp.load_prior(Path(name)),
    ],
)
def test_names_that_no_file_system_takes_are_refused(name, call):
    with pytest.raises(GenPriorError) as raised:
        call(name)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("option", ["IN", "-o", "--kernel", "--settings", "--report", "--kernel-out", "--rerun"])
@pytest.mark.parametrize("name", [f"{LONG}.tif", NUL])
def test_the_command_line_refuses_them_in_every_option(tmp_path, monkeypatch, capsys, option, name):
    monkeypatch.chdir(tmp_path)
    write_image("in.tif", IMAGE.astype(np.float32))
    values = {"IN": "in.tif", "-o": "out.tif"} | {option: name}
    words = ["deblur", values.pop("IN"), *(word for pair in values.items() for word in pair)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "fault of ours" not in said


def test_a_folder_that_may_not_be_looked_into_is_named(monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(FileError, match="No permission"):
        paths.exists("folder/image.png")


def test_what_is_at_a_path_is_told(tmp_path):
    (tmp_path / "file").touch()
    assert [f(tmp_path) for f in (paths.exists, paths.is_file, paths.is_folder)] == [True, False, True]
    assert [f(tmp_path / "file") for f in (paths.exists, paths.is_file, paths.is_folder)] == [True, True, False]
    assert not paths.exists(tmp_path / "file" / "within")


def test_dask_arrays_of_unknown_size_are_refused():
    values = dask.array.from_array(IMAGE)
    with pytest.raises(InputError, match="chunk sizes"):
        gp.known_kernel(values[values[:, 0] > -1], np.ones((3, 3)))
