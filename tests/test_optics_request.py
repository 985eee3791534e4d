"""PSFs from optics: what is given, what the file says, what is assumed, on the command line and in Python."""

import json

import numpy as np
import pytest
import tifffile

import napari_genprior as gp
from napari_genprior.blur import Optics
from napari_genprior.blur.microscope import KINDS
from napari_genprior.blur.optics_stack import complete
from napari_genprior.cli import genprior, main
from napari_genprior.core import optics_metadata
from napari_genprior.core.errors import InputError
from napari_genprior.core.lazy_io import open_lazy
from napari_genprior.core.optics_metadata import ChannelOptics, OpticsMetadata

VOXEL = (0.3, 0.1, 0.1)
SHAPE = (2, 6, 24, 20)
INSTRUMENT = (
    '<Instrument ID="Instrument:0"><Objective ID="Objective:1" LensNA="0.3" Immersion="Air"/>'
    '<Objective ID="Objective:0" LensNA="1.2" Immersion="Water"/></Instrument>'
)
CHANNELS = {
    "Name": ["green", "red"], "EmissionWavelength": [520.0, 600.0], "EmissionWavelengthUnit": ["nm", "nm"],
    "ExcitationWavelength": [488.0, 561.0], "AcquisitionMode": ["LaserScanningConfocalMicroscopy"] * 2,
}  # fmt: skip


def volume(shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(50 + 400 * (rng.random(shape) > 0.98)).astype(np.uint16)


def write_ome(path, stack, axes="CZYX", objective=True, **channel):
    size = {f"PhysicalSize{axis}": side for axis, side in zip("ZYX", VOXEL, strict=True)}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "ZYX"}
    metadata = {"axes": axes, **size, **units} | ({"Channel": channel} if channel else {})
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=metadata)
    if objective:
        text = tifffile.tiffcomment(path)
        text = text.replace("<Image ", INSTRUMENT + "<Image ", 1)
        settings = '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0" RefractiveIndex="1.34"/>'
        tifffile.tiffcomment(path, text.replace("<Pixels ", settings + "<Pixels ", 1).encode())
    return path


@pytest.fixture
def two_channels(tmp_path):
    return write_ome(tmp_path / "two.ome.tif", volume(), **CHANNELS)


def test_ome_metadata_say_the_optics(two_channels):
    with open_lazy(two_channels) as file:
        found = file.metadata.optics
    assert (found.na, found.immersion_index) == (1.2, 1.34)
    assert found.channels == (ChannelOptics("confocal", 520, 488), ChannelOptics("confocal", 600, 561))


def test_plain_lines_of_imagej_say_the_optics(tmp_path):
    info = "Objective|NumericalAperture = 1.4\nImmersion: Oil\nEmission Wavelength = 525 nm\nPinholeAiry = 0.8"
    size = {"spacing": 0.3, "unit": "um", "axes": "ZYX", "Info": info}
    tifffile.imwrite(tmp_path / "v.tif", volume()[0], imagej=True, resolution=(10, 10), metadata=size)
    with open_lazy(tmp_path / "v.tif") as file:
        found = file.metadata.optics
    assert found == OpticsMetadata(1.4, 1.515, 0.8, (ChannelOptics(None, 525.0, None),))


def test_lines_of_imagej_may_be_numbered_by_channel():
    lines = ["Instrument|Objective|LensNA #1 = 1.2", "Instrument|Objective|LensNA #2 = 0.3"]
    lines += ["Image|Channel|EmissionWavelength #1 = 520.0", "Image|Channel|EmissionWavelength #2 = 600.0"]
    lines += ["Image|Channel|AcquisitionMode #1 = WideField", "EmissionWavelength #x = 1", "Emission Wavelength ="]
    found = optics_metadata.optics_of_imagej("\n".join(lines))
    assert found.na is None, "two objectives: it is not known which"
    assert found.channels == (ChannelOptics("widefield", 520.0), ChannelOptics(None, 600.0))
    assert optics_metadata.optics_of_imagej("nothing of it") == OpticsMetadata()


def test_zarr_collections_say_the_optics(tmp_path, two_channels):
    pytest.importorskip("zarr")
    from napari_genprior.core.tiled_io import write_image_file

    with open_lazy(two_channels) as file:
        write_image_file(tmp_path / "0.zarr", volume(), file.scale_only, "CZYX")
    (tmp_path / "OME").mkdir()
    (tmp_path / "OME" / "METADATA.ome.xml").write_text(tifffile.tiffcomment(two_channels), encoding="utf-8")
    (tmp_path / "0.zarr").rename(tmp_path / "0")
    with open_lazy(tmp_path / "0") as file:
        assert file.metadata.optics.na == 1.2
        assert file.metadata.optics.channels[1].emission_nm == 600


@pytest.mark.parametrize(
    "text",
    ["<OME/>", "<OME><Image/></OME>", '<OME><Image><Pixels><Channel EmissionWavelength="0"/></Pixels></Image></OME>'],
)
def test_metadata_that_say_nothing_are_empty(text):
    found = optics_metadata.optics_of_ome(text)
    assert (found.na, found.immersion_index) == (None, None)
    assert all(channel == ChannelOptics() for channel in found.channels)


def test_wavelengths_have_units():
    text = '<OME><Image><Pixels><Channel EmissionWavelength="0.52" EmissionWavelengthUnit="µm"/></Pixels></Image></OME>'
    assert optics_metadata.optics_of_ome(text).channels[0].emission_nm == pytest.approx(520)


FILE = OpticsMetadata(1.2, 1.34, None, (ChannelOptics("confocal", 520, 488), ChannelOptics("confocal", 600, 561)))


def test_what_is_given_comes_first_then_the_file_then_what_is_usual():
    found = complete(Optics(na=1.1), FILE, 2, VOXEL, "file")
    assert [m.wavelength_nm for m in found.microscopes] == [520, 600]
    assert {(m.kind, m.na, m.immersion_index, m.sample_index) for m in found.microscopes} == {
        ("confocal", 1.1, 1.34, 1.34)
    }
    for part in ("NA 1.1 (given)", "emission 520, 600 nm (file)", "excitation 488, 561 nm (file)", "AU (assumed)"):
        assert part in found.sentence
    usual = complete(Optics(na=0.8, wavelength_nm=520), OpticsMetadata(), 2, VOXEL, "given")
    assert len(usual.microscopes) == 1
    assert "one for all 2 channels" in usual.sentence
    assert (usual.microscopes[0].kind, usual.microscopes[0].immersion_index) == ("widefield", 1.0)
    assert usual.microscopes[0].sample_index == 1.333


def test_an_emission_is_assumed_from_the_excitation():
    file = OpticsMetadata(1.2, None, None, (ChannelOptics("two-photon", None, 920),))
    found = complete(Optics(), file, 1, VOXEL, "file")
    assert found.microscopes[0].wavelength_nm == pytest.approx(500)
    assert "assumed from the excitation" in found.sentence


@pytest.mark.parametrize(
    ("optics", "channels", "voxel", "says"),
    [
        ({}, 2, VOXEL, "numerical aperture.*and.*emission"),
        ({"na": 1.2}, 2, VOXEL, "emission"),
        ({"na": 1.2, "wavelength_nm": (500, 520, 600)}, 2, VOXEL, "3 wavelengths.*2 channels"),
        ({"na": 1.2, "wavelength_nm": 520, "immersion": "air"}, 1, VOXEL, "below the refractive index"),
        ({"na": 1.2, "wavelength_nm": 520}, 1, (0.3, 0.1, 0.2), "square"),
        ({"na": 1.2, "wavelength_nm": 520, "kind": "sted"}, 1, VOXEL, "no microscope of kind"),
    ],
)
def test_what_is_not_known_or_impossible_is_refused(optics, channels, voxel, says):
    with pytest.raises(InputError, match=says):
        complete(Optics(**optics), OpticsMetadata(), channels, voxel, "given")


def test_an_unknown_immersion_is_refused():
    with pytest.raises(InputError, match="honey"):
        Optics(immersion="honey")


def test_the_options_name_the_kinds_of_microscopes():
    assert tuple(optics_metadata.KINDS.values()) == KINDS


@pytest.mark.slow
def test_a_file_that_says_all_needs_no_options(two_channels, tmp_path, capsys):
    output, report, kernels = tmp_path / "out.ome.tif", tmp_path / "report.json", tmp_path / "k.tif"
    command = ["deblur", str(two_channels), "-o", str(output), "--psf", "optics", "--quiet", "--report", str(report)]
    assert main([*command, "--kernel-out", str(kernels), "--setting", "solver=wiener"]) == 0
    told = capsys.readouterr().err
    assert "confocal (file), NA 1.2 (file), emission 520, 600 nm (file)" in told
    assert "voxel 0.3 x 0.1 x 0.1 um (file)" in told
    assert tifffile.imread(output).shape == SHAPE
    psfs = tifffile.imread(kernels)
    assert psfs.ndim == 4
    assert psfs[0].max() > 1.1 * psfs[1].max()  # a shorter wave has a smaller PSF
    recorded = json.loads(report.read_text())["provenance"]["arguments"]
    assert recorded["optics"] == {}
    assert recorded["kernel_per"] == "channel"
    again = tmp_path / "again.ome.tif"
    assert main(["deblur", "-o", str(again), "--rerun", str(report), "--quiet"]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(output))


def test_python_takes_optics_as_a_kernel():
    optics = Optics(na=1.2, wavelength_nm=(520, 600), immersion="water")
    arguments = {"voxel_size_um": VOXEL, "axes": "CZYX", "settings": {"solver": "wiener"}}
    result = gp.deblur(volume(), kernel=optics, **arguments)
    assert result.kernels.shape[0] == 2
    assert "widefield (assumed), NA 1.2 (given)" in result.status.sentence
    one = gp.deblur(volume()[0], kernel=Optics(na=1.2, wavelength_nm=520), **(arguments | {"axes": "ZYX"}))
    assert one.kernel.shape[0] == 2 * SHAPE[1] - 1


def test_one_kernel_for_several_channels_is_said():
    kernel = gp.blur.microscope_psf_3d(shape=(3, 5, 5), na=0.8)
    result = gp.deblur(volume(), kernel=kernel, voxel_size_um=VOXEL, axes="CZYX", settings={"solver": "wiener"})
    assert "One kernel serves all 2 channels" in result.status.sentence


@pytest.mark.slow
def test_a_batch_reads_the_optics_of_each_file(two_channels, tmp_path, capsys):
    out = tmp_path / "sharp"
    assert main(["batch", str(two_channels), "-o", str(out), "--psf", "optics", "--setting", "solver=wiener"]) == 0
    assert tifffile.imread(out / two_channels.name).shape == SHAPE


def test_planes_of_a_file_that_says_its_optics_are_announced(two_channels, tmp_path, capsys):
    command = ["deblur", str(two_channels), "-o", str(tmp_path / "o.tif"), "--kernel", str(tmp_path / "k.npy")]
    np.save(tmp_path / "k.npy", gp.blur.gaussian(1.0, size=5))
    assert main([*command, "--quiet"]) == 0
    said = capsys.readouterr().err
    assert "--psf optics" in said
    assert "--kernel-per channel" in said


def test_a_plane_is_restored_with_the_psf_in_focus(tmp_path):
    write_ome(tmp_path / "p.ome.tif", volume((40, 40)), "YX", EmissionWavelength=[520.0])
    with pytest.raises(InputError, match="mode='2d'"):
        gp.deblur(tmp_path / "p.ome.tif", kernel=Optics())
    result = gp.deblur(tmp_path / "p.ome.tif", kernel=Optics(), mode="2d")
    assert result.kernel.ndim == 2
    assert max(result.kernel.shape) <= 40


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kernel_per": "plane"}, "kernel_per"),
        ({"tiles": (2, 2)}, "tiles"),
        ({"voxel_size_um": None}, "voxel size"),
        ({"kernel_size": 5}, "kernel size"),
        ({"settings": {"na": 1.2}}, "'na'"),
        ({"method": "classical"}, "classical"),
    ],
)
def test_what_does_not_go_with_optics_is_refused(arguments, says):
    given = {"kernel": Optics(na=1.2, wavelength_nm=520), "voxel_size_um": VOXEL, "axes": "CZYX"} | arguments
    with pytest.raises(InputError, match=says):
        gp.deblur(volume(), **given)


def test_the_terminal_computes_a_psf(tmp_path, two_channels, capsys):
    psf = tmp_path / "psf.tif"
    command = ["kernel", "optics", "--na", "1.4", "--wavelength", "520", "--immersion", "oil", "--sample-index", "1.38"]
    command += ["--depth", "5", "--modality", "spinning-disk", "--pinhole", "1", "-o", str(psf)]
    assert main([*command, "--voxel-size", "0.2,0.065,0.065", "--size", "9x21x21"]) == 0
    said = capsys.readouterr().out
    assert "immersion 1.515 (given), sample 1.38 (given), depth 5 um (given), pinhole 1 AU (given)" in said
    with open_lazy(psf) as file:
        assert file.pixel_size == pytest.approx({"Z": 0.2, "Y": 0.065, "X": 0.065})
        assert file.data.shape == (9, 21, 21)
    assert main(command) == 2
    assert "voxel size" in capsys.readouterr().err
    assert main(["kernel", "optics", "--like", str(two_channels), "-o", str(psf)]) == 0
    assert "of the light" in capsys.readouterr().out
    with open_lazy(psf) as file:
        assert file.axes == "CZYX"
        values = np.asarray(file.data[...])
    np.testing.assert_allclose(values.sum((1, 2, 3)), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--na", "1.4"], "--psf optics"),
        (["--psf", "optics", "--kernel", "k.tif"], "--kernel"),
        (["--psf", "optics", "--immersion", "honey"], "refractive index"),
        (["--psf", "optics", "--wavelength", "green"], "520,600"),
        (["--psf", "optics", "--wavelength", "500,510,520"], "3 wavelengths"),
    ],
)
def test_options_that_do_not_fit_are_refused(two_channels, tmp_path, capsys, options, says):
    assert main(["deblur", str(two_channels), "-o", str(tmp_path / "out.tif"), *options]) == 2
    assert says in capsys.readouterr().err


def test_optics_have_the_same_options_everywhere():
    def options(*path):
        command = genprior
        for name in path:
            command = command.commands[name]
        return {name for parameter in command.params for name in parameter.opts}

    own = {
        "--modality",
        "--na",
        "--wavelength",
        "--excitation",
        "--immersion",
        "--sample-index",
        "--depth",
        "--pinhole",
    }
    for path in (("deblur",), ("batch",), ("kernel", "optics")):
        assert own <= options(*path)


@pytest.mark.parametrize("wrong", [{"na": "1.4"}, {"wavelength_nm": "x"}, {"wavelength_nm": []}, {"depth_um": [1.0]}])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(InputError, match="must be a number"):
        gp.blur.Optics(**wrong)


def test_single_planes_take_a_pixel_size_and_voxels_have_a_size():
    plane = np.random.default_rng(0).poisson(100, (40, 40)).astype(np.uint16)
    optics = gp.blur.Optics(na=0.5, wavelength_nm=520)
    result = gp.deblur(plane, kernel=optics, mode="2d", voxel_size_um=(0.3, 0.2, 0.2))
    assert result.image.shape == plane.shape
    with pytest.raises(InputError, match="at most 20 um"):
        gp.deblur(plane, kernel=optics, mode="2d", voxel_size_um=(250, 0.2, 0.2))


def test_a_volume_kernel_for_each_channel_makes_volumes():
    rng = np.random.default_rng(0)
    stack = rng.poisson(50, (2, 6, 24, 24)).astype(np.uint16)
    kernels = np.ones((2, 3, 3, 3), np.float32)
    result = gp.deblur(stack, axes="CZYX", kernel=kernels, kernel_per="channel", settings={"solver": "wiener"})
    assert result.kernels.shape == (2, 3, 3, 3)
