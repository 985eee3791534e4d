"""What a file says beside its pixels stands in the result, wherever its type holds it; pixel sizes above all."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageCms, PngImagePlugin

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core import ome
from napari_genprior.core.lazy_io import open_lazy
from napari_genprior.core.units import unit_name, voxel_size_um

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 255, (40, 56, 3)).astype(np.uint8)
STACK = (300 * np.arange(12).reshape(2, 2, 3, 1, 1) + 20 * np.arange(56) + 3 * np.arange(40)[:, None]).astype(np.uint16)
VOLUME = STACK[:, 0].reshape(6, 40, 56)
POINT = np.zeros((3, 3), np.float32)
POINT[1, 1] = 1
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def restored(tmp_path, name, output, *options):
    np.save(tmp_path / "point.npy", POINT)
    words = [
        "deblur",
        tmp_path / name,
        "-o",
        tmp_path / output,
        "--kernel",
        tmp_path / "point.npy",
        "--quiet",
        *options,
    ]
    assert main([str(word) for word in words]) == 0
    return tmp_path / output


def camera():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", "Model 1", "2024:05:06 07:08:09"
    return exif


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
def test_photographs_keep_profile_resolution_and_camera(tmp_path, source, target):
    options = {"icc_profile": PROFILE, "exif": camera(), "dpi": (300, 200)}
    if source == ".tif":
        options.pop("exif")
        options["tiffinfo"] = {271: "Maker", 272: "Model 1", 306: "2024:05:06 07:08:09"}
    Image.fromarray(COLOUR).save(tmp_path / f"a{source}", **options)
    with Image.open(restored(tmp_path, f"a{source}", f"out{target}")) as made:
        assert made.info["icc_profile"] == PROFILE
        if ".webp" not in (source, target):
            assert made.info["dpi"] == pytest.approx((300, 200), rel=0.01)
        if (source, target)[0] != ".tif" or target == ".tif":
            assert dict(made.getexif())[0x0110] == "Model 1"


def test_texts_and_gamma_of_png_are_copied(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Ada")
    Image.fromarray(COLOUR).save(tmp_path / "a.png", pnginfo=info)
    with Image.open(restored(tmp_path, "a.png", "b.png")) as made:
        assert made.text == {"Author": "Ada"}


def test_a_description_and_the_place_on_earth_are_copied(tmp_path):
    geo = (33550, 12, 3, (0.5, 0.5, 0.0), True)
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], metadata=None, description="field 7", extratags=[geo])
    with tifffile.TiffFile(restored(tmp_path, "a.tif", "b.tif")) as made:
        assert made.pages[0].description == "field 7"
        assert made.pages[0].tags[33550].value == (0.5, 0.5, 0.0)


LUTS = [np.stack([np.arange(256) * part // 255 for part in rgb]).astype(np.uint8) for rgb in np.eye(3, dtype=int) * 255]
IMAGEJ = {
    "axes": "TZCYX", "unit": "micron", "spacing": 0.4, "finterval": 2.5, "mode": "composite", "LUTs": LUTS,
    "Ranges": (0.0, 4000.0) * 3, "Labels": [f"plane {n}" for n in range(12)], "Info": "objective 63x",
}  # fmt: skip


def imagej_stack(path):
    tifffile.imwrite(path, STACK, imagej=True, resolution=(8, 8), metadata=IMAGEJ)


def test_imagej_keeps_labels_tables_ranges_and_time(tmp_path):
    imagej_stack(tmp_path / "a.tif")
    with tifffile.TiffFile(restored(tmp_path, "a.tif", "b.tif")) as made:
        assert made.is_imagej
        assert made.series[0].axes == "TZCYX"
        said = made.imagej_metadata
        for name in ("unit", "spacing", "finterval", "mode", "Labels", "Info"):
            assert said[name] == IMAGEJ[name], name
        assert tuple(said["Ranges"]) == IMAGEJ["Ranges"]
        np.testing.assert_array_equal(said["LUTs"], LUTS)
        assert made.pages[0].tags["XResolution"].value[0] / made.pages[0].tags["XResolution"].value[1] == 8
        assert np.abs(made.asarray().astype(float) - STACK).mean() < 10


def test_a_lookup_table_is_no_palette_of_colours(tmp_path):
    table = (np.arange(256) * 257).astype(np.uint16)
    green = np.stack([table * 0, table, table * 0])
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], imagej=True, colormap=green)
    with tifffile.TiffFile(restored(tmp_path, "a.tif", "b.tif")) as made:
        assert made.asarray().shape == (40, 56)
        np.testing.assert_array_equal(made.pages[0].colormap, green)


def ome_stack(path):
    metadata = {
        "axes": "TZCYX", "Name": "embryo 3", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.5,
        "TimeIncrement": 4.0, "TimeIncrementUnit": "s",
        "Channel": {"Name": ["DAPI", "GFP", "RFP"], "Color": [65535, 16711935, -16776961]},
        "Plane": {"PositionX": [7.5] * 12, "DeltaT": [0.5 * n for n in range(12)]},
    }  # fmt: skip
    tifffile.imwrite(path, STACK, ome=True, metadata=metadata, photometric="minisblack")


def test_ome_keeps_channels_places_and_times(tmp_path):
    ome_stack(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(restored(tmp_path, "a.ome.tif", "b.ome.tif")) as made:
        assert made.series[0].axes == "TZCYX"
        assert made.series[0].shape == STACK.shape
        assert np.abs(made.asarray().astype(float) - STACK).mean() < 10
        image = tifffile.xml2dict(made.ome_metadata)["OME"]["Image"]
        pixels = image["Pixels"]
        assert image["Name"] == "embryo 3"
        assert [each["Name"] for each in pixels["Channel"]] == ["DAPI", "GFP", "RFP"]
        assert [each["Color"] for each in pixels["Channel"]] == [65535, 16711935, -16776961]
        assert [each["PositionX"] for each in pixels["Plane"]] == [7.5] * 12
        assert pixels["TimeIncrement"] == 4.0
        assert pixels["PhysicalSizeZ"] == 0.5


@pytest.mark.parametrize(("write", "names"), [(imagej_stack, ["", "", ""]), (ome_stack, ["DAPI", "GFP", "RFP"])])
@pytest.mark.slow
def test_tiff_becomes_zarr_and_back_with_channels_and_time(tmp_path, write, names):
    write(tmp_path / "a.tif")
    made = zarr.open_group(restored(tmp_path, "a.tif", "b.zarr"))
    channels = made.attrs["ome"]["omero"]["channels"]
    assert [each["label"] for each in channels] == names
    assert len({each["color"] for each in channels}) == 3
    (scale,) = made.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scale["scale"][0] in (2.5, 4.0)
    with open_lazy(restored(tmp_path, "b.zarr", "c.ome.tif")) as back, open_lazy(tmp_path / "a.tif") as first:
        assert dict(back.pixel_size).items() >= dict(first.pixel_size).items()
        assert [each.name for each in back.metadata.channels] == names
        assert [each.colour for each in back.metadata.channels] == [each.colour for each in first.metadata.channels]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_zarr_keeps_omero_name_place_and_foreign_attributes(tmp_path, version):
    omero = {"channels": [{"label": "a", "color": "00FF00", "window": {"start": 1, "end": 2, "min": 0, "max": 9}}]}
    changes = [{"type": "scale", "scale": [1, 0.3, 0.3]}, {"type": "translation", "translation": [0, 12.5, 7.0]}]
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]
    scales = {"axes": axes, "name": "well", "datasets": [{"path": "0", "coordinateTransformations": changes}]}
    old = version == "0.4"
    content = {"multiscales": [scales | ({"version": version} if old else {})], "omero": omero}
    attributes = content if old else {"ome": {"version": version, **content}}
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2 if old else 3, attributes=attributes | {"lab": "ours"})
    group.create_array("0", data=STACK[0, 0, :1])
    made = zarr.open_group(restored(tmp_path, "a.zarr", "b.zarr")).attrs
    said = made if old else made["ome"]
    assert said["omero"] == omero
    assert made["lab"] == "ours"
    assert said["multiscales"][0]["name"] == "well"
    assert said["multiscales"][0]["datasets"][0]["coordinateTransformations"] == changes


def test_a_kernel_gets_the_pixel_size_and_nothing_else(tmp_path):
    ome_stack(tmp_path / "a.ome.tif")
    restored(tmp_path, "a.ome.tif", "b.ome.tif", "--kernel-out", tmp_path / "k.tif")
    with tifffile.TiffFile(tmp_path / "k.tif") as made:
        assert "DAPI" not in made.ome_metadata
        assert 'PhysicalSizeX="0.2"' in made.ome_metadata


@pytest.mark.parametrize(
    ("said", "um"),
    [
        ({"unit": "micron"}, 1), ({"unit": "microns"}, 1), ({"unit": "um"}, 1),
        ({"unit": "\\u00B5m"}, 1), ({"unit": "nm"}, 1e-3), ({"unit": "mm"}, 1e3), ({"unit": "cm"}, 1e4),
        ({"unit": "inch"}, 25400),
        ({"unit": "Micrometers"}, 1), ({"unit": "pixel"}, None), ({"unit": "furlong"}, None), ({}, None),
    ],
)  # fmt: skip
def test_units_of_imagej_are_read_and_written(tmp_path, said, um):
    tifffile.imwrite(
        tmp_path / "a.tif", VOLUME, imagej=True, resolution=(4, 2), metadata={**said, "axes": "ZYX", "spacing": -0.75}
    )
    expected = None if um is None else pytest.approx((0.75 * um, 0.5 * um, 0.25 * um))
    for name in ("a.tif", restored(tmp_path, "a.tif", "b.tif").name):
        with open_lazy(tmp_path / name) as source:
            assert voxel_size_um(source.pixel_size, source.units) == expected


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_the_micro_sign_is_read_in_any_encoding(tmp_path, encoding):
    text = "ImageJ=1.54f\nunit=µm\nspacing=0.5\nimages=1\n".encode(encoding)
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], description=text, metadata=None, resolution=(4, 4))
    for name in ("a.tif", restored(tmp_path, "a.tif", "b.tif").name):
        with open_lazy(tmp_path / name) as source:
            assert voxel_size_um(source.pixel_size, source.units) == pytest.approx((0.5, 0.25, 0.25))


def test_units_differ_between_axes(tmp_path):
    said = {"unit": "um", "zunit": "nm", "yunit": "mm", "spacing": 500, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", VOLUME, imagej=True, resolution=(4, 4000), metadata=said)
    for name in ("a.tif", restored(tmp_path, "a.tif", "b.tif").name, restored(tmp_path, "a.tif", "c.zarr").name):
        with open_lazy(tmp_path / name) as source:
            assert voxel_size_um(source.pixel_size, source.units) == pytest.approx((0.5, 0.25, 0.25))


@pytest.mark.parametrize("spacing", [0, float("nan"), float("inf")])
def test_spacings_that_are_none_are_left_out(tmp_path, spacing):
    said = {"unit": "um", "spacing": spacing, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, :, 0], imagej=True, resolution=(4, 4), metadata=said)
    with open_lazy(tmp_path / "a.tif") as source:
        assert source.pixel_size == {"Y": 0.25, "X": 0.25}


@pytest.mark.parametrize(
    ("resolution", "unit", "um"),
    [
        ((50000, 50000), "CENTIMETER", 0.2),
        ((254000, 254000), "INCH", 0.1),
        ((300, 300), "INCH", None),
        ((118, 118), 3, None),
    ],
)
def test_resolution_tags_are_believed_where_they_are_those_of_a_microscope(tmp_path, resolution, unit, um):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], resolution=resolution, resolutionunit=unit)
    for name in ("a.tif", restored(tmp_path, "a.tif", "b.tif").name):
        with open_lazy(tmp_path / name) as source:
            assert source.pixel_size == ({} if um is None else pytest.approx({"Y": um, "X": um}))


def test_a_given_voxel_size_is_written(tmp_path):
    np.save(tmp_path / "k.npy", np.ones((1, 1, 1), np.float32))
    np.save(tmp_path / "a.npy", VOLUME[:, :24, :24])
    words = [
        tmp_path / "a.npy",
        "-o",
        tmp_path / "b.tif",
        "--kernel",
        tmp_path / "k.npy",
        "--voxel-size",
        "0.5,0.1,0.1",
    ]
    assert main(["deblur", *map(str, words), "--quiet"]) == 0
    with open_lazy(tmp_path / "b.tif") as source:
        assert voxel_size_um(source.pixel_size, source.units) == pytest.approx((0.5, 0.1, 0.1))


def test_unit_names():
    assert [unit_name(word) for word in ("Å", "angstrom", "MICROMETRE", "inches", "pm", "s", "")] == [
        "angstrom", "angstrom", "micrometer", "inch", "picometer", None, None,
    ]  # fmt: skip
    assert voxel_size_um({"Z": 1, "Y": 1, "X": 1}, {"Z": "second"}) is None
    assert voxel_size_um({"Z": 2, "Y": 1, "X": 1}, {"X": "pixel"}) == (2, 1, 1)


def test_metadata_that_do_not_fit_the_result_are_not_forced_on_it():
    text = "<OME><Image><Pixels><Channel/><Channel/></Pixels></Image></OME>"
    assert ome.rewrite_ome(text, (3, 40, 56), "CYX", np.dtype("u2"), {}, {}) is None
    assert ome.rewrite_ome(text, (2, 40, 56), "CYX", np.dtype("u8"), {}, {}) is None


def test_arrays_have_no_metadata(tmp_path):
    result = gp.known_kernel(COLOUR, POINT, out=tmp_path / "a.png")
    assert Image.open(result.path).info == {}
