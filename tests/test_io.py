"""Files: every type is read and written, and no file is incomplete."""

import errno
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_genprior as gp
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.core.lazy_io import open_lazy

GREY = (np.arange(40 * 50).reshape(40, 50) * 17 % 60000).astype(np.uint16)


def colour(image):
    return np.stack([image, image[::-1], image[:, ::-1]], axis=-1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("rgb", [False, True])
def test_a_written_image_is_read_back(tmp_path, suffix, dtype, rgb):
    image = (colour(GREY) if rgb else GREY).astype(dtype)
    path = tmp_path / f"image{suffix}"
    if suffix == ".png" and dtype == np.float32:
        with pytest.raises(InputError, match=r"write \.tif"):
            io.write_image(path, image)
        return
    io.write_image(path, image)
    back = io.read_image(path)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_jpeg_is_close_and_upright(tmp_path):
    from PIL import Image

    x = np.mgrid[:40, :60][1]
    image = (x * 4).astype(np.uint8)
    io.write_image(tmp_path / "a.jpg", image)
    assert abs(io.read_image(tmp_path / "a.jpg").astype(int) - image).max() < 8
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was rotated: rows are columns
    Image.fromarray(image).save(tmp_path / "turned.jpg", exif=exif)
    assert io.read_image(tmp_path / "turned.jpg").shape == (60, 40)


def test_compressed_and_planar_tiffs_are_read(tmp_path):
    tifffile.imwrite(tmp_path / "lzw.tif", GREY, compression="lzw")
    np.testing.assert_array_equal(io.read_image(tmp_path / "lzw.tif"), GREY)
    planar = np.moveaxis(colour(GREY), -1, 0)
    tifffile.imwrite(tmp_path / "planar.tif", planar, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(io.read_image(tmp_path / "planar.tif"), colour(GREY))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".npy"])
def test_truncated_and_foreign_files_are_refused_in_one_sentence(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    io.write_image(whole, GREY.astype(np.uint8))
    for name, content in (
        ("cut", whole.read_bytes()[: whole.stat().st_size // 2]),
        ("empty", b""),
        ("text", b"hello" * 50),
    ):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(content)
        with pytest.raises(FileError, match="cannot be read"):
            io.read_image(path)


def test_pickled_npy_is_refused(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="cannot be read"):
        io.read_image(tmp_path / "evil.npy")


def test_missing_files_and_unknown_types_are_named(tmp_path):
    with pytest.raises(FileError, match="no file"):
        io.read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="allowed are"):
        io.read_image(tmp_path / "a.docx")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "result.tif"
    io.write_image(path, GREY)

    def full(file, *_, **__):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(FileError, match="No space left"):
        io.write_image(path, GREY + 1)
    monkeypatch.undo()
    np.testing.assert_array_equal(io.read_image(path), GREY)
    assert [p.name for p in tmp_path.iterdir()] == ["result.tif"]


def test_any_error_while_writing_leaves_nothing(tmp_path):
    def interrupted():
        with io.write_atomic(tmp_path / "a.txt") as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileError, match="No such file or directory"):
        io.write_image(tmp_path / "none" / "a.tif", GREY)


def test_new_files_have_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").touch()
    io.write_image(tmp_path / "a.tif", GREY)
    assert (tmp_path / "a.tif").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_arrays_of_four_axes_keep_their_shape_in_tiff(tmp_path):
    kernels = np.random.default_rng(0).random((1, 2, 5, 3)).astype(np.float32)
    io.write_image(tmp_path / "kernels.tif", kernels)
    np.testing.assert_array_equal(io.read_image(tmp_path / "kernels.tif"), kernels)
    with open_lazy(tmp_path / "kernels.tif") as file:
        np.testing.assert_array_equal(file.data, kernels)


def test_as_type_rounds_and_clips():
    np.testing.assert_array_equal(io.as_type(np.float32([-3, 0.6, 254.5, 300]), np.dtype("u1")), [0, 1, 254, 255])
    assert io.as_type(np.float32([1.5]), np.dtype("f8")).dtype == np.float64


def test_stacks_are_written_as_npy_too(tmp_path):
    stack = np.stack([GREY, GREY[::-1]])
    np.save(tmp_path / "a.npy", stack)
    result = gp.known_kernel(tmp_path / "a.npy", np.ones((1, 1)), axes="TYX", out=tmp_path / "b.npy")
    made = np.load(result.path)
    assert made.dtype == stack.dtype
    assert np.abs(made.astype(float) - stack).mean() < 0.02 * np.ptp(stack)


def test_small_arrays_are_told_their_size():
    with pytest.raises(InputError, match="too small"):
        gp.deblur(np.zeros((2, 6, 6)))


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint64])
def test_stacks_of_types_that_ome_does_not_know_are_written(tmp_path, dtype):
    stack = np.stack([GREY, GREY[::-1]]).astype(dtype) / (100 if dtype == np.float16 else 1)
    gp.known_kernel(stack.astype(dtype), np.ones((1, 1)), axes="TYX", out=tmp_path / "b.tif")
    with open_lazy(tmp_path / "b.tif") as made:
        assert (made.axes, made.data.dtype, made.data.shape) == ("TYX", dtype, stack.shape)
