"""Files with pages, series and collections: the image is read, thumbnails never win, several are asked for."""

import sys
import types

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core import tiff_read
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.core.lazy_io import open_lazy

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 60000, (5, 48, 70)).astype(np.uint16)
COLOUR = RANDOM.integers(0, 255, (3, 48, 70, 3)).astype(np.uint8)
KERNEL = np.ones((3, 3), np.float32)


@pytest.fixture
def piecewise(monkeypatch):
    """Small files are read in parts, as large ones are, and without zarr."""
    monkeypatch.setattr(tiff_read, "EAGER_BYTES", 0)
    monkeypatch.setitem(sys.modules, "zarr", None)


def read(path, series=None):
    with open_lazy(path, series) as source:
        return np.asarray(source.data[...]), source


PARTS = [np.s_[...], np.s_[1], np.s_[2, 7:30, 40:], np.s_[:, 10:20:3, ::2], np.s_[-1, :, -5:], np.s_[1:3, 5]]


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"}, {"compression": "zlib", "predictor": True}, {"compression": "zstd"},
        {"tile": (16, 32)}, {"tile": (16, 32), "compression": "lzw"}, {"rowsperstrip": 7, "compression": "zlib"}, {},
        {"byteorder": ">"}, {"byteorder": ">", "compression": "lzw"},
    ],
)  # fmt: skip
def test_parts_of_grey_stacks_are_those_of_the_whole(tmp_path, piecewise, options):
    options = dict(options)
    order = options.pop("byteorder", "<")
    tifffile.imwrite(tmp_path / "a.tif", STACK, byteorder=order, photometric="minisblack", **options)
    with open_lazy(tmp_path / "a.tif") as source:
        for part in PARTS:
            np.testing.assert_array_equal(source.data[part], STACK[part])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32), "compression": "zlib"}, {"compression": "lzw"}])
def test_parts_of_colour_stacks_are_those_of_the_whole(tmp_path, piecewise, planar, options):
    stored = np.moveaxis(COLOUR, -1, 1) if planar == "separate" else COLOUR
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, **options)
    with open_lazy(tmp_path / "a.tif") as source:
        assert source.axes.endswith("YXS")
        for part in PARTS:
            np.testing.assert_array_equal(source.data[part], COLOUR[part])


def test_pages_that_were_appended_one_by_one_are_a_stack(tmp_path, piecewise):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in STACK:
            writer.write(page, contiguous=False, metadata=None, compression="lzw")
    Image.fromarray(STACK[0]).save(
        tmp_path / "b.tif", save_all=True, append_images=list(map(Image.fromarray, STACK[1:]))
    )
    for name in ("a.tif", "b.tif"):
        np.testing.assert_array_equal(read(tmp_path / name)[0], STACK)
        with pytest.raises(InputError, match="several ways"):
            gp.known_kernel(tmp_path / name, KERNEL)
        assert gp.known_kernel(tmp_path / name, KERNEL, axes="ZYX").image.shape == STACK.shape


@pytest.mark.parametrize("stored", ["TSYX", "TYXS"])
def test_colour_frames_may_be_named_as_they_are_stored(tmp_path, stored):
    frames = np.moveaxis(COLOUR, -1, 1) if stored == "TSYX" else COLOUR
    planar = "separate" if stored == "TSYX" else "contig"
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="rgb", planarconfig=planar)
    out = tmp_path / "out.tif"
    result = gp.known_kernel(tmp_path / "a.tif", KERNEL, axes=stored, out=out)
    assert result.layout.axes == "TYXS"
    assert read(out)[0].shape == COLOUR.shape


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("tagged", [True, False])
def test_thumbnails_never_win(tmp_path, first, tagged):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        small = COLOUR[0, ::4, ::4]
        for image in (small, COLOUR[0]) if first else (COLOUR[0], small):
            reduced = {"subfiletype": 1} if tagged and image is small else {}
            writer.write(image, photometric="rgb", metadata=None, **reduced)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], COLOUR[0])
    assert gp.known_kernel(tmp_path / "a.tif", KERNEL).image.shape == COLOUR[0].shape


def test_several_images_are_asked_for(tmp_path, capsys):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for image in STACK[:3]:
            writer.write(image, metadata={"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2})
    path, out = str(tmp_path / "a.ome.tif"), str(tmp_path / "out.tif")
    np.save(tmp_path / "k.npy", KERNEL)
    words = ["deblur", path, "-o", out, "--kernel", str(tmp_path / "k.npy"), "--quiet"]
    assert main(words) == 2
    assert "3 images" in capsys.readouterr().err
    assert main([*words, "--series", "1", "--report", str(tmp_path / "r.json")]) == 0
    np.testing.assert_array_equal(read(path, 1)[0], STACK[1])
    expected = gp.known_kernel(STACK[1], KERNEL).image
    assert np.abs(read(out)[0] - expected).max() <= 0.51
    again = str(tmp_path / "again.tif")
    assert main(["deblur", "--rerun", str(tmp_path / "r.json"), "-o", again, "--quiet"]) == 0
    np.testing.assert_array_equal(read(again)[0], read(out)[0])
    with pytest.raises(InputError, match="no series 3"):
        gp.known_kernel(path, KERNEL, series=3)
    with pytest.raises(InputError, match="whole number"):
        gp.known_kernel(path, KERNEL, series="1")
    with pytest.raises(InputError, match="array is one image"):
        gp.known_kernel(STACK[0], KERNEL, series=0)


OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
    'DimensionOrder="XYZCT" Type="uint16" SizeX="{x}" SizeY="48" SizeZ="1" SizeC="1" SizeT="1" {more}><TiffData/>'
    "</Pixels></Image></OME>"
)
ODD = {
    "binary only": '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><BinaryOnly MetadataFile="m.ome" '
    'UUID="urn:uuid:1"/></OME>',
    "no size": OME.format(x="", more=""),
    "no image": "<OME></OME>",
    "no units": OME.format(x="70", more='PhysicalSizeX="" PhysicalSizeY="abc"'),
    "strange units": OME.format(x="70", more='PhysicalSizeX="0.1" PhysicalSizeXUnit="parsec"'),
    "damaged": "<OME><Image></OME>",
    "wrong size": OME.format(x="999", more=""),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_metadata_never_hide_the_image(tmp_path, kind, capsys):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], description=ODD[kind], metadata=None, ome=False)
    data, source = read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(data, STACK[0])
    assert source.pixel_size == {}
    np.save(tmp_path / "k.npy", KERNEL)
    out = str(tmp_path / "out.ome.tif")
    assert main(["deblur", str(tmp_path / "a.ome.tif"), "-o", out, "--kernel", str(tmp_path / "k.npy"), "--quiet"]) == 0
    assert read(out)[0].shape == STACK[0].shape


def test_a_file_of_a_set_without_its_others_is_named(tmp_path):
    names = ("a.ome.tif", "b.ome.tif")
    planes = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{t}</UUID></TiffData>'
        for t, name in enumerate(names)
    )
    text = OME.format(x="70", more="").replace('SizeT="1"', 'SizeT="2"').replace("<TiffData/>", planes)
    for number, name in enumerate(names):
        own = text.replace("<OME ", f'<OME UUID="urn:uuid:{number}" ')
        tifffile.imwrite(tmp_path / name, STACK[number], description=own, metadata=None, ome=False)
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif")[0], STACK[:2])
    (tmp_path / "b.ome.tif").unlink()
    with pytest.raises(FileError, match="not beside it"):
        read(tmp_path / "a.ome.tif")


def ome_zarr(group, name, image, version=2):
    node = group.create_group(name)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    scale = [{"type": "scale", "scale": [0.3, 0.3]}]
    node.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    node.create_array("0", data=image)


def test_conversions_by_bioformats2raw_open(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    group.create_group("OME")
    ome_zarr(group, "0", STACK[0])
    ome_zarr(group, "1", STACK[0, ::4, ::4])  # a label image
    data, source = read(tmp_path / "a.zarr")
    np.testing.assert_array_equal(data, STACK[0])
    assert source.pixel_size == {"Y": 0.3, "X": 0.3}
    ome_zarr(group, "2", STACK[1])
    with pytest.raises(InputError, match="2 images"):
        read(tmp_path / "a.zarr")
    np.testing.assert_array_equal(read(tmp_path / "a.zarr", 2)[0], STACK[1])


@pytest.mark.parametrize("wells", [["A/1"], ["A/1", "B/2"]])
def test_plates_open_or_ask(tmp_path, wells):
    group = zarr.create_group(tmp_path / "p.zarr", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": well} for well in wells], "version": "0.4"}
    for number, well in enumerate(wells):
        group.create_group(well).attrs["well"] = {"images": [{"path": "0"}]}
        ome_zarr(group[well], "0", STACK[number])
    if len(wells) == 1:
        np.testing.assert_array_equal(read(tmp_path / "p.zarr")[0], STACK[0])
        return
    with pytest.raises(InputError, match=r"A/1/0 .*B/2/0"):
        read(tmp_path / "p.zarr")
    np.testing.assert_array_equal(read(tmp_path / "p.zarr", 1)[0], STACK[1])
    np.testing.assert_array_equal(read(tmp_path / "p.zarr" / "B" / "2")[0], STACK[1])


@pytest.mark.parametrize("names", [("t", "y", "x"), ("Time", "Y", "X"), ("z", "y", "x")])
def test_dimension_names_are_axes(tmp_path, names):
    zarr.create_array(tmp_path / "new.zarr", data=STACK, dimension_names=names)
    old = zarr.create_array(tmp_path / "old.zarr", data=STACK, zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = list(names)
    for name in ("new.zarr", "old.zarr"):
        data, source = read(tmp_path / name)
        assert source.axes == "".join(each[0].upper() for each in names)
        np.testing.assert_array_equal(data, STACK)


def test_one_array_in_a_group_is_the_image(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("data", data=STACK[0])
    np.testing.assert_array_equal(read(tmp_path / "a.zarr")[0], STACK[0])
    group.create_array("more", data=STACK[1])
    with pytest.raises(InputError, match="data, more"):
        read(tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["zarr", "tiff", "dask"])
def test_damaged_pieces_met_while_running_are_named(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tiff_read, "EAGER_BYTES", 0)
    if kind == "zarr":
        zarr.create_array(tmp_path / "a.zarr", data=STACK, chunks=(1, 48, 70), zarr_format=2)
        (tmp_path / "a.zarr" / "3.0.0").write_bytes(b"\x01\x02")
        source = tmp_path / "a.zarr"
    elif kind == "tiff":
        tifffile.imwrite(tmp_path / "a.tif", STACK, compression="zlib", photometric="minisblack")
        content = bytearray((tmp_path / "a.tif").read_bytes())
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            at, size = tiff.pages[3].dataoffsets[0], tiff.pages[3].databytecounts[0]
        content[at : at + size] = bytes(size)
        (tmp_path / "a.tif").write_bytes(content)
        source = tmp_path / "a.tif"
    else:

        def fail(block):
            raise OSError("the disk is gone")

        source = dask.array.from_array(STACK, chunks=(1, 48, 70)).map_blocks(fail, dtype=STACK.dtype, meta=STACK[:0])
    with pytest.raises(FileError, match="cannot be read"):
        gp.known_kernel(source, KERNEL, axes="TYX", out=tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


def test_makers_formats_need_their_reader(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    monkeypatch.setitem(sys.modules, "bioio", None)
    assert main(["deblur", str(tmp_path / "a.czi"), "-o", str(tmp_path / "b.tif")]) == 2
    assert "bioio-czi" in capsys.readouterr().err


def test_makers_formats_are_read_by_bioio(tmp_path, monkeypatch):
    class BioImage:
        scenes = ("first", "second")
        channel_names = ("DAPI",)
        dims = types.SimpleNamespace(order="TCZYX")
        physical_pixel_sizes = types.SimpleNamespace(Z=0.5, Y=0.1, X=0.1)

        def __init__(self, path):
            self.scene = 0

        def set_scene(self, number):
            self.scene = number

        @property
        def dask_data(self):
            return dask.array.from_array(STACK[None, None] + self.scene)

    monkeypatch.setitem(sys.modules, "bioio", types.SimpleNamespace(BioImage=BioImage))
    (tmp_path / "a.nd2").touch()
    with pytest.raises(InputError, match="first; 1: second"):
        read(tmp_path / "a.nd2")
    data, source = read(tmp_path / "a.nd2", 1)
    np.testing.assert_array_equal(data, STACK + 1)
    assert source.axes == "ZYX"
    assert source.pixel_size == {"Z": 0.5, "Y": 0.1, "X": 0.1}
    assert [each.name for each in source.metadata.channels] == ["DAPI"]
