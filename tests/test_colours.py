"""What the numbers of a file mean: colours upright and right, results that show as their input did."""

import io as buffers
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage.color import rgb2lab

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core import tiff_read
from napari_genprior.core.errors import InputError
from napari_genprior.core.lazy_io import open_lazy

POINT = np.zeros((3, 3), np.float32)
POINT[1, 1] = 1
Y, X = np.mgrid[:40, :56]
SCENE = np.stack([40 + 3 * X, 200 - 4 * Y, 60 + 2 * X + 2 * Y], -1).astype(np.uint8)
SCENE[8:20, 10:30] = (220, 90, 30)
GREY = SCENE[..., 1]


def opened(path):
    with open_lazy(path) as source:
        return np.asarray(source.data[...]), source


def error_of(image, expected):
    return np.abs(image.astype(float) - expected).mean()


def restored(tmp_path, name, output=None):
    """What a file shows after a run with a kernel that is a point."""
    np.save(tmp_path / "point.npy", POINT)
    out = tmp_path / (output or f"out-{name}")
    assert (
        main(["deblur", str(tmp_path / name), "-o", str(out), "--kernel", str(tmp_path / "point.npy"), "--quiet"]) == 0
    )
    return out


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cmyk.jpg", {"quality": 95}), ("cmyk.tif", {}), ("palette.png", {}), ("palette.tif", {}), ("palette.bmp", {}),
        ("lossless.webp", {"lossless": True}), ("plain.bmp", {}), ("plain.jp2", {}),
        ("jpeg.tif", {"compression": "jpeg"}),
    ],
)  # fmt: skip
def test_colours_of_other_kinds_show_right_in_and_out(tmp_path, name, options):
    image = Image.fromarray(SCENE)
    if "cmyk" in name:
        image = image.convert("CMYK")
    elif "palette" in name:
        image = image.quantize(256)
    image.save(tmp_path / name, **options)
    data, source = opened(tmp_path / name)
    assert source.axes == "YXS"
    assert error_of(data, SCENE) < 4
    np.testing.assert_array_equal(io.read_image(tmp_path / name), data)
    assert error_of(np.asarray(Image.open(restored(tmp_path, name)).convert("RGB")), SCENE) < 6


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_is_shown_as_rgb(tmp_path, bits):
    lab = rgb2lab(SCENE)  # of D65; neutral colours are equal, others close
    scale = 1 if bits == 8 else 256
    lightness = lab[..., 0] * (2**bits - 1) / 100
    samples = np.stack([lightness, lab[..., 1] * scale, lab[..., 2] * scale], -1)
    stored = np.rint(samples).astype(np.int64).astype(f"u{bits // 8}")
    tifffile.imwrite(tmp_path / "lab.tif", stored, photometric="cielab")
    data, _ = opened(tmp_path / "lab.tif")
    assert data.dtype == stored.dtype
    assert error_of(data / (1 if bits == 8 else 257), SCENE) < 8


def test_lab_of_a_colour_management_is_exact(tmp_path):
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    lab = ImageCms.profileToProfile(Image.fromarray(SCENE), *profiles, outputMode="LAB")
    tifffile.imwrite(tmp_path / "lab.tif", np.asarray(lab), photometric="cielab")
    assert error_of(opened(tmp_path / "lab.tif")[0], SCENE) < 3


@pytest.mark.parametrize("photometric", [32844, 32803])
def test_colours_that_are_not_read_are_named(tmp_path, photometric, capsys):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
        tiff.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)
    assert main(["deblur", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.tif")]) == 2
    assert "not read" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("large", [False, True])
def test_white_is_zero_stays_as_bright_as_it_shows(tmp_path, monkeypatch, dtype, large):
    shown = GREY.astype(dtype) * (1 if dtype == np.uint8 else 250)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(dtype).max - shown, photometric="miniswhite", compression="lzw")
    if large:
        monkeypatch.setattr(tiff_read, "EAGER_BYTES", 0)
    np.testing.assert_array_equal(opened(tmp_path / "a.tif")[0], shown)
    out = restored(tmp_path, "a.tif")
    with tifffile.TiffFile(out) as tiff:
        written, photometric = tiff.asarray(), tiff.pages[0].photometric.name
    assert photometric == "MINISBLACK"
    assert error_of(written, shown) < 0.01 * np.ptp(shown)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_is_black_and_white(tmp_path, suffix):
    Image.fromarray(GREY > 120).save(tmp_path / f"a{suffix}")
    data, _ = opened(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(data, np.where(GREY > 120, 255, 0))
    assert data.dtype == np.uint8


def test_few_bits_have_the_whole_range(tmp_path):
    stored = GREY >> 4
    packed = (stored[:, ::2] << 4 | stored[:, 1::2]).astype(np.uint8).tobytes()
    tags = {256: 56, 257: 40, 258: 4, 259: 1, 262: 1, 273: 200, 277: 1, 278: 40, 279: len(packed)}
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    head += b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items()) + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + packed)
    np.testing.assert_array_equal(opened(tmp_path / "a.tif")[0], stored * 17)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "deep.png", "deep.tif"])
def test_grey_is_restored_and_its_alpha_kept(tmp_path, name):
    factor = 257 if "deep" in name else 1
    alpha = np.where(X > 30, 255, 90).astype(np.uint8)
    both = np.stack([GREY, alpha], -1).astype(np.uint16 if "deep" in name else np.uint8) * factor
    if name.endswith("png"):
        import imagecodecs

        (tmp_path / name).write_bytes(imagecodecs.png_encode(both))
    else:
        tifffile.imwrite(tmp_path / name, both, photometric="minisblack", extrasamples=(2,), planarconfig="contig")
    data, source = opened(tmp_path / name)
    np.testing.assert_array_equal(data, both[..., 0])
    out = restored(tmp_path, name)
    again, result = opened(out)
    np.testing.assert_array_equal(result.alpha, both[..., 1])
    assert error_of(again, both[..., 0]) < 3 * factor
    assert source.hidden is None


def transparent(hidden_colour):
    image = np.concatenate([SCENE, np.full((40, 56, 1), 255, np.uint8)], -1)
    image[:, 40:] = (*hidden_colour, 0)
    return image


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.slow
def test_what_transparency_hides_has_no_influence(tmp_path, suffix):
    results: list[np.ndarray] = []
    exact = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    for number, colour in enumerate([(255, 0, 255), (0, 0, 0)]):
        image = transparent(colour)
        if suffix == ".tif":
            tifffile.imwrite(tmp_path / f"{number}.tif", image, photometric="rgb", extrasamples=(2,))
        else:
            Image.fromarray(image).save(tmp_path / f"{number}{suffix}", **exact)
        data, source = opened(tmp_path / f"{number}{suffix}")
        np.testing.assert_array_equal(source.hidden, image[..., 3] == 0)
        np.testing.assert_array_equal(data[:, :40], image[:, :40])
        results.append(gp.known_kernel(data, gp.blur.motion(5)).image)
        out = np.asarray(Image.open(restored(tmp_path, f"{number}{suffix}")))
        np.testing.assert_array_equal(out[..., 3], image[..., 3])
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0], gp.known_kernel(transparent((9, 9, 9)), gp.blur.motion(5)).image)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_of_png_is_hidden(tmp_path, mode):
    image = Image.fromarray(SCENE).convert(mode) if mode != "P" else Image.fromarray(SCENE).quantize(16)
    key = image.getpixel((12, 10))
    image.save(tmp_path / "a.png", transparency=key)
    _, source = opened(tmp_path / "a.png")
    assert source.hidden[10, 12]
    assert not source.hidden.all()


def test_an_invisible_image_is_refused(tmp_path):
    Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="transparent everywhere"):
        gp.deblur(tmp_path / "a.png")


def test_premultiplied_alpha_shows_the_same_in_the_result(tmp_path):
    alpha = np.where(X > 30, 255, 128)[..., None]
    stored = np.concatenate([np.rint(SCENE * (alpha / 255)), alpha], -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=(1,))
    assert error_of(opened(tmp_path / "a.tif")[0][..., :3], SCENE) < 1
    with tifffile.TiffFile(restored(tmp_path, "a.tif")) as tiff:
        assert [int(kind) for kind in tiff.pages[0].extrasamples] == [2]
        assert error_of(tiff.asarray()[..., :3], SCENE) < 4


@pytest.mark.parametrize("count", [2, 4, 5])
def test_every_band_is_restored_and_stored_as_it_was(tmp_path, count):
    bands = np.stack([np.roll(SCENE[..., n % 3], n, 0) for n in range(count)], -1)
    kind = "rgb" if count > 3 else "minisblack"
    extra = (0,) * (count - (3 if count > 3 else 1))
    tifffile.imwrite(tmp_path / "a.tif", bands, photometric=kind, extrasamples=extra, planarconfig="contig")
    data, source = opened(tmp_path / "a.tif")
    assert (source.axes, data.shape) == ("CYX", (count, 40, 56))
    out = restored(tmp_path, "a.tif")
    again, result = opened(out)
    assert result.axes == "CYX"
    assert error_of(again, data) < 5
    with tifffile.TiffFile(out) as tiff:
        assert tiff.pages[0].photometric.name == kind.upper()
        assert tiff.pages[0].samplesperpixel == count


def test_a_fourth_sample_that_is_opaque_is_alpha(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.concatenate([SCENE, np.full_like(SCENE[..., :1], 255)], -1),
                     photometric="rgb", extrasamples=(0,))  # fmt: skip
    assert opened(tmp_path / "a.tif")[1].axes == "YXS"


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_images_lie_upright(tmp_path, orientation, suffix):
    # transpositions that lead from the upright image to the stored one
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]
    stored = Image.fromarray(SCENE)
    for method in undo:
        stored = stored.transpose(method)
    if suffix == ".tif":
        tifffile.imwrite(tmp_path / "a.tif", np.asarray(stored), photometric="rgb",
                         extratags=[(274, 3, 1, orientation, True)])  # fmt: skip
    else:
        exif = Image.Exif()
        exif[274] = orientation
        options = {".jpg": {"quality": 98, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
        stored.save(tmp_path / f"a{suffix}", exif=exif, **options)
    data, _ = opened(tmp_path / f"a{suffix}")
    assert data.shape == SCENE.shape
    assert error_of(data, SCENE) < 4
    with Image.open(restored(tmp_path, f"a{suffix}")) as out:
        assert out.getexif().get(274, 1) == 1
        assert error_of(np.asarray(out.convert("RGB")), SCENE) < 6


def test_arrays_with_a_single_axis_are_images(tmp_path):
    blurred = gp.simulate(GREY / 255.0, gp.blur.motion(5), noise=0.01, seed=0).blurred
    expected = gp.known_kernel(blurred, gp.blur.motion(5)).image
    for array in (blurred[None], blurred[..., None]):
        result = gp.known_kernel(array, gp.blur.motion(5))
        assert result.image.shape == array.shape
        assert error_of(result.image.reshape(40, 56), expected) < 0.01
        np.save(tmp_path / "a.npy", array)
        assert np.load(restored(tmp_path, "a.npy")).size == blurred.size


def test_a_twelve_bit_jpeg_is_read(tmp_path):
    import imagecodecs

    deep = GREY.astype(np.uint16) * 16
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(deep, level=98, bitspersample=12))
    assert error_of(opened(tmp_path / "a.jpg")[0], deep) < 40


def test_an_animation_is_named(tmp_path):
    frames = [Image.fromarray(np.roll(SCENE, n, 0)) for n in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(InputError, match="animation of 3 frames"):
        gp.deblur(tmp_path / "a.webp")


def test_a_profile_of_inks_is_not_handed_on(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(SCENE).convert("CMYK").save(tmp_path / "a.jpg", icc_profile=profile)
    content = Image.open(buffers.BytesIO(restored(tmp_path, "a.jpg").read_bytes()))
    assert "icc_profile" not in content.info
