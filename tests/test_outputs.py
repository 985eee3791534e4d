"""Outputs never overwrite inputs, and what cannot take a result is refused before anything is computed."""

import numpy as np
import pytest

import napari_genprior as gp
from images import blocks
from napari_genprior.core.errors import InputError

KERNEL = np.full((3, 5), 1 / 15, np.float32)
IMAGE = blocks(64, 72, 0).astype(np.float32)
STACK = np.stack([IMAGE, IMAGE[::-1]])


def read_only() -> np.ndarray:
    array = np.zeros(IMAGE.shape, np.float32)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (5, "path or an array"), ([1], "path or an array"), (b"x.tif", "path or an array"),
        (np.zeros((3, 3), np.float32), "shape of the image"), (np.zeros(IMAGE.shape, np.uint8), "floating-point"),
        (read_only(), "read-only"),
    ],
)  # fmt: skip
def test_what_cannot_take_the_result_is_refused(out, words):
    with pytest.raises(InputError, match=words):
        gp.iter_deblur(IMAGE, kernel=KERNEL, out=out)


def test_files_that_are_read_are_not_written(tmp_path):
    np.save(tmp_path / "kernel.npy", KERNEL)
    np.save(tmp_path / "stack.npy", STACK)
    mapped = np.load(tmp_path / "stack.npy", mmap_mode="r")
    for image, kernel, out in (
        (IMAGE, tmp_path / "kernel.npy", tmp_path / "kernel.npy"), (mapped, KERNEL, tmp_path / "stack.npy"),
        (tmp_path / "stack.npy", KERNEL, tmp_path / "stack.npy"),
    ):  # fmt: skip
        with pytest.raises(InputError, match="never overwritten"):
            gp.iter_deblur(image, kernel=kernel, axes="TYX" if np.ndim(image) != 2 else None, out=out)
    np.testing.assert_array_equal(np.load(tmp_path / "kernel.npy"), KERNEL)


def test_a_zarr_folder_around_the_input_is_not_replaced(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "plate.zarr", mode="w")
    group.create_array("0", data=STACK)
    for image in (tmp_path / "plate.zarr" / "0", group["0"]):
        for out in ("plate.zarr", "plate.zarr/0/inside.zarr"):
            with pytest.raises(InputError, match="never overwritten"):
                gp.iter_deblur(image, kernel=KERNEL, axes="TYX", out=tmp_path / out)
    np.testing.assert_array_equal(zarr.open(tmp_path / "plate.zarr/0", mode="r")[...], STACK)


def test_tiles_are_not_written_into_the_image_they_are_read_from():
    image = IMAGE.copy()
    with pytest.raises(InputError, match="shares memory"):
        gp.iter_deblur(image, kernel=KERNEL, tile_size=64, out=image)


@pytest.mark.parametrize("change", [lambda x: x > 1, lambda x: x.astype(complex), lambda x: x[:4, :4], lambda x: x[:0]])
def test_tiled_images_are_checked_like_others(change):
    with pytest.raises(InputError):
        gp.iter_deblur(change(IMAGE), kernel=KERNEL, tile_size=64)


@pytest.mark.slow
def test_a_constant_frame_is_returned_unchanged_and_its_neighbours_are_restored():
    frames = np.stack([IMAGE, np.ones_like(IMAGE), IMAGE])
    result = gp.deblur(frames, axes="TYX", kernel_per="frame", kernel_size=5)
    assert result.constant_pieces == ((1,),)
    np.testing.assert_array_equal(result.image[1], 1)
    assert result.kernels.shape[0] == 3


def test_a_time_limit_stops_a_blind_volume():
    volume = np.random.default_rng(0).random((6, 24, 24))
    result = gp.deblur(volume, mode="3d", time_limit_s=0.01)
    assert result.status.code == "stopped"


def test_a_kernel_is_compared_with_its_tile():
    with pytest.raises(InputError, match="larger than the image"):
        gp.iter_deblur(np.tile(IMAGE, (2, 2)), kernel_size=71, tiles=(2, 2))
    with pytest.raises(InputError, match=r"tiles=\(rows, columns\)"):
        _ = gp.known_kernel(IMAGE, KERNEL).kernel_map
