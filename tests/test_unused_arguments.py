"""Arguments without effect are refused at the call, and so is all else that can be refused before a run."""

import numpy as np
import pytest
import tifffile

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import lazy_io
from napari_genprior.core.errors import GenPriorError, InputError
from napari_genprior.core.image_io import write_image
from napari_genprior.pipeline import front_door

IMAGE = blocks(64, 64)
COLOUR = np.stack([IMAGE] * 3, -1)
STACK = np.stack([IMAGE, IMAGE[::-1], IMAGE.T])
VOLUME = np.stack([IMAGE] * 8)
KERNEL = np.full((5, 5), 1 / 25)
KERNEL_3D = np.full((3, 3, 3), 1 / 27)
VOXEL = (0.3, 0.1, 0.1)


@pytest.mark.parametrize(
    ("image", "arguments", "words"),
    [
        (IMAGE, {"kernel": KERNEL, "kernel_size": 5}, "A kernel is given, so a kernel size has no effect"),
        (IMAGE, {"kernel": KERNEL, "method": "classical", "kernel_prior": "motion-28"}, "kernel prior"),
        (IMAGE, {"kernel": KERNEL, "method": "classical", "settings": {"kernel_prior": "motion-28"}}, "kernel prior"),
        (VOLUME, {"kernel": KERNEL_3D, "axes": "ZYX", "settings": {"na": 1.2}}, "numerical aperture"),
        (IMAGE, {"kernel": KERNEL, "method": "project"}, "does not use a given kernel"),
        (IMAGE, {"kernel": KERNEL, "method": "patches"}, "does not use a given kernel"),
        (IMAGE, {"kernel": KERNEL, "restarts": 2}, "takes no restarts"),
        (IMAGE, {"kernel": KERNEL, "steps": 2}, "takes no steps"),
        (IMAGE, {"method": "classical", "image_prior": "nuclei-64"}, "takes no image_prior"),
        (IMAGE, {"method": "selfdeblur", "kernel_prior": "motion-28"}, "takes no kernel_prior"),
        (IMAGE, {"method": "untrained", "restarts": 2}, "takes no restarts"),
        (IMAGE, {"method": "project", "kernel_size": 5}, "estimates no kernel"),
        (IMAGE, {"method": "generator", "kernel_size": 5}, "kernels of one size"),
        (IMAGE, {"method": "evidence", "kernel_size": 5}, "kernels of one size"),
        (IMAGE, {"method": "untrained", "kernel_size": 5}, "kernels of one size"),
        (IMAGE, {"tiles": (1, 1), "tile_size": 64}, "exclude each other"),
        (IMAGE, {"tiles": (1, 1), "voxel_size_um": VOXEL}, "A voxel size is for volumes"),
        (IMAGE, {"mode": "2d", "voxel_size_um": VOXEL}, "A voxel size is for volumes"),
        (IMAGE, {"voxel_size_um": VOXEL}, "A volume is an array"),
        (STACK, {"mode": "2d", "axes": "ZYX", "voxel_size_um": VOXEL}, "A voxel size is for volumes"),
        (VOLUME, {"mode": "3d", "kernel_size": 5}, "Volumes take no kernel size"),
        (VOLUME, {"mode": "3d", "tile_size": 64}, "not restored in tiles"),
        (VOLUME, {"mode": "3d", "steps": 5, "settings": {"solver": "wiener"}}, "one step"),
        (IMAGE, {"kernel_per": "channel"}, "is for stacks"),
        (IMAGE, {"kernel_per": "frame", "axes": "YX"}, "is for stacks"),
        (IMAGE, {"kernel_per": "plane", "tiles": (1, 1)}, "is for stacks"),
        (COLOUR, {"kernel_per": "channel"}, "is for stacks"),
        (VOLUME, {"kernel_per": "plane", "mode": "3d"}, "this is one volume"),
        (STACK, {"kernel_per": "channel", "axes": "TYX"}, "needs a C axis"),
    ],
)
def test_an_argument_without_effect_is_refused_at_the_call(image, arguments, words):
    with pytest.raises(InputError, match=words):
        gp.iter_deblur(image, **arguments)


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        (IMAGE, {"kernel": KERNEL, "kernel_size": "auto", "kernel_per": "stack", "seed": 3, "device": "cpu"}),
        (IMAGE, {"kernel": KERNEL, "method": "classical"}),
        (VOLUME, {"kernel": KERNEL_3D, "axes": "ZYX", "voxel_size_um": VOXEL, "settings": {"na": None}}),
        (VOLUME, {"mode": "3d", "settings": {"solver": "wiener"}}),
        (STACK, {"kernel_per": "frame", "axes": "TYX"}),
    ],
)
def test_defaults_and_arguments_with_an_effect_are_taken(image, arguments):
    gp.iter_deblur(image, **arguments).close()


@pytest.mark.parametrize("method", ["project", "known-kernel"])
def test_kernels_are_estimated_by_methods_that_do(method):
    with pytest.raises(InputError, match="estimates no kernel"):
        gp.estimate_kernel(IMAGE, method)


@pytest.mark.parametrize(
    "words",
    [
        ["--kernel", "k.tif", "--kernel-size", "5"],
        ["--tiles", "1x1", "--tile-size", "64"],
        ["--mode", "2d", "--voxel-size", "1,1,1"],
        ["--kernel-per", "channel"],
        ["--kernel-prior", "no-such", "--method", "classical"],
        ["--setting", "no_such=1"],
        ["--kernel-out", f"{'k' * 250}.tif"],
        ["--report", f"{'r' * 250}.json"],
    ],
)
def test_the_command_line_ends_with_2_in_one_line_and_writes_nothing(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image("in.tif", IMAGE.astype(np.float32))
    write_image("k.tif", KERNEL.astype(np.float32))
    assert main(["deblur", "in.tif", "-o", "out.tif", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "k.tif"]


SINGLE_ONLY = "out.gif", "out", "out.png"
ANY = (
    "no-such/out.tif",
    "folder.tif",
    f"{'n' * 250}.tif",
    "in.npy/out.zarr",
    f"{'n' * 249}.zarr",
    "zarr-that-is-a-file.zarr",
)


@pytest.mark.parametrize("source", ["array", "path", "stack", "stack path", "tiles"])
@pytest.mark.parametrize("name", [*SINGLE_ONLY, *ANY])
def test_where_nothing_can_be_written_is_said_at_the_call(source, name, tmp_path):
    pytest.importorskip("zarr")
    image = STACK if source.startswith("stack") else IMAGE
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "zarr-that-is-a-file.zarr").write_text("mine")
    np.save(tmp_path / "in.npy", image)
    before = sorted(tmp_path.iterdir())
    arguments = {"axes": "TYX"} if source.startswith("stack") else {"tiles": (1, 1)} if source == "tiles" else {}
    given = tmp_path / "in.npy" if source.endswith("path") else image
    with pytest.raises(GenPriorError):
        gp.iter_deblur(given, out=tmp_path / name, **arguments)
    assert sorted(tmp_path.iterdir()) == before


def test_a_checkpoint_is_checked_at_the_call_for_files_too(tmp_path):
    np.save(tmp_path / "in.npy", IMAGE)
    with pytest.raises(InputError, match="does not support checkpoints"):
        gp.iter_deblur(tmp_path / "in.npy", checkpoint=tmp_path / "c")


@pytest.mark.parametrize("name", ["in.png", "in.npy", "in.tif"])
def test_a_file_is_opened_once_and_closed_at_the_end(name, tmp_path, monkeypatch):
    write_image(tmp_path / name, (255 * IMAGE).astype(np.uint8))
    opened, closed = [], []

    class Counted(tifffile.TiffFile):
        def close(self):
            closed.append(self)
            super().close()

    monkeypatch.setattr(tifffile, "TiffFile", Counted)
    monkeypatch.setattr(front_door, "open_lazy", lambda *source: opened.append(source) or lazy_io.open_lazy(*source))
    result = gp.deblur(tmp_path / name, kernel=KERNEL, out=tmp_path / "out.tif")
    assert result.image.shape == IMAGE.shape
    assert len(opened) == 1
    assert bool(closed) == (name == "in.tif")


@pytest.mark.parametrize("tiled", [False, True])
def test_a_link_to_a_zarr_folder_stays_and_its_folder_is_replaced(tiled, tmp_path):
    zarr = pytest.importorskip("zarr")
    real, link = tmp_path / "data" / "real.zarr", tmp_path / "link.zarr"
    gp.deblur(STACK, axes="TYX", kernel=np.ones((1, 1)), out=_made(real))
    link.symlink_to(real, target_is_directory=True)
    gp.deblur(STACK, axes="TYX", kernel=KERNEL, out=link, tile_size=64 if tiled else None)
    assert link.is_symlink()
    assert link.resolve() == real
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "link.zarr"]
    assert [path.name for path in real.parent.iterdir()] == ["real.zarr"]
    assert not np.allclose(zarr.open(real, mode="r")["0"][:], STACK, atol=1e-3)


def test_a_link_to_a_zarr_folder_that_is_not_there_yet_is_followed(tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "new.zarr", target_is_directory=True)
    gp.deblur(STACK, axes="TYX", kernel=KERNEL, out=tmp_path / "link.zarr")
    assert (tmp_path / "new.zarr").is_dir()
    assert (tmp_path / "link.zarr").is_symlink()


def _made(path):
    path.parent.mkdir()
    return path
