"""Large images: tile by tile what the whole gives, from file to file, whole or not at all."""

import json
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
import zarr

import napari_genprior as gp
from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import lazy_io as lazy
from napari_genprior.core import tiff_read
from napari_genprior.core import tiled_io as writing
from napari_genprior.core.errors import FileError, InputError
from napari_genprior.core.image_io import read_image
from napari_genprior.core.iteration import map_states, run_to_end
from napari_genprior.pipeline import global_statistics, image_source, large
from napari_genprior.pipeline import run as deblurring
from napari_genprior.pipeline.global_statistics import GlobalStatistics

KERNEL = gp.blur.motion(length=7, angle_deg=30)
BORDER = 40  # px


@pytest.fixture(scope="module")
def blurred():
    """An image [300, 380], float32 in [0, 1], with noise."""
    return gp.simulate(blocks(300, 380), KERNEL, noise=0.01, seed=0).blurred


def as_16_bit(image):
    return np.rint(40000 * np.clip(image, 0, 1)).astype(np.uint16)


@pytest.mark.slow
@pytest.mark.parametrize("tile", [100, 150])
def test_tiled_equals_whole(tmp_path, blurred, tile):
    whole = gp.known_kernel(blurred, KERNEL).image
    result = gp.deblur(blurred, out=tmp_path / "out.zarr", kernel=KERNEL, tile_size=tile)
    tiled = zarr.open(result.path / "0", mode="r")[:]
    assert result.provenance.arguments["tiles_per_plane"] >= 4
    assert tiled.dtype == np.float32
    inside = (slice(BORDER, -BORDER),) * 2
    assert np.abs(tiled - whole)[inside].max() < 1e-3
    assert gp.metrics.psnr(tiled, blocks(300, 380)) > gp.metrics.psnr(blurred, blocks(300, 380)) + 2
    assert result.verdict.reason
    assert result.provenance.input_sha256 == gp.known_kernel(blurred, KERNEL).provenance.input_sha256


@pytest.mark.slow
def test_colour_16_bit_tiff_in_and_out(tmp_path, blurred):
    part = as_16_bit(blurred[:150, :180])
    colour = np.stack([part, part // 2, part // 3], -1)
    tifffile.imwrite(tmp_path / "in.tif", colour, photometric="rgb")
    result = gp.deblur(tmp_path / "in.tif", out=tmp_path / "out.tif", kernel=KERNEL, tile_size=64)
    made = tifffile.imread(tmp_path / "out.tif")
    assert made.shape == colour.shape
    assert made.dtype == np.uint16
    whole = gp.known_kernel(colour, KERNEL).image
    assert np.abs(made[BORDER:-BORDER, BORDER:-BORDER] - whole[BORDER:-BORDER, BORDER:-BORDER]).max() < 1e-3 * 40000
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.is_bigtiff
    assert result.report()["provenance"]["input_shape"] == (150, 180, 3)
    json.dumps(result.report())


@pytest.mark.slow
def test_a_blind_run_estimates_the_kernel_of_the_most_textured_part(tmp_path, blurred, monkeypatch):
    monkeypatch.setattr(large, "GlobalStatistics", partial(GlobalStatistics, region=160))
    flat = np.full((300, 500), 0.5, np.float32)
    flat[100:300, 260:] = blurred[:200, :240]
    seen = []
    for progress in (run := gp.iter_deblur(flat, out=tmp_path / "out.tif", kernel_size=9, tile_size=150)):
        seen.append(progress.fraction)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert run.gi_frame is None
    known, made = tifffile.imread(tmp_path / "out.tif"), gp.known_kernel(flat, KERNEL).image
    assert gp.metrics.psnr(known, made) > 28


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_keeps_axes_and_pixel_size(tmp_path, blurred, version):
    planes = as_16_bit(np.stack([blurred[:100, :130], blurred[100:200, :130]]))[:, None]
    like = lazy.Lazy(planes, "TCYX", {"T": 2.0, "Y": 0.25, "X": 0.5}, {"Y": "micrometer", "X": "micrometer"}, version)
    with writing.open_writer(tmp_path / "in.zarr", planes.shape, planes.dtype, like, "TCYX") as write:
        for t in range(2):
            write((t, 0), 0, planes[t, 0, :60])
            write((t, 0), 60, planes[t, 0, 60:])
    gp.deblur(tmp_path / "in.zarr", out=tmp_path / "out.zarr", kernel=KERNEL, tile_size=64)
    with lazy.open_lazy(tmp_path / "out.zarr") as made:
        assert made.axes == "TCYX"
        assert made.pixel_size == {"T": 2.0, "C": 1.0, "Y": 0.25, "X": 0.5}
        assert made.units == {"Y": "micrometer", "X": "micrometer"}
        assert made.ome_version == version
        assert made.data.dtype == np.uint16
        for t in range(2):
            # the range is that of all planes
            whole = gp.known_kernel(planes[:, 0].reshape(200, 130), KERNEL).image
            inside = np.abs(made.data[t, 0] - whole[100 * t : 100 * t + 100])[BORDER:-BORDER, BORDER:-BORDER]
            assert np.median(inside) < 1e-3 * 40000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


def test_ome_tiff_keeps_its_pixel_size(tmp_path, blurred):
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 0.11,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 90,
        "PhysicalSizeYUnit": "nm",
    }
    image = as_16_bit(blurred[:100, :130])
    tifffile.imwrite(tmp_path / "in.ome.tif", image, metadata=metadata, tile=(32, 32), compression="zlib")
    with lazy.open_lazy(tmp_path / "in.ome.tif") as source:
        np.testing.assert_array_equal(source.data[20:70, 30:100], image[20:70, 30:100])
    gp.deblur(tmp_path / "in.ome.tif", out=tmp_path / "out.ome.tif", kernel=KERNEL, tile_size="auto")
    with lazy.open_lazy(tmp_path / "out.ome.tif") as made:
        assert made.pixel_size == {"Y": 90.0, "X": 0.11}
        assert made.units == {"Y": "nanometer", "X": "micrometer"}


def test_imagej_and_big_endian_tiff(tmp_path, blurred, monkeypatch):
    image = as_16_bit(blurred[:100, :130])
    tifffile.imwrite(tmp_path / "in.tif", image, imagej=True, resolution=(4, 2), metadata={"unit": "um"}, byteorder=">")
    monkeypatch.setattr(tiff_read, "EAGER_BYTES", 0)
    with lazy.open_lazy(tmp_path / "in.tif") as source:
        assert source.data.dtype.byteorder == ">"
        np.testing.assert_array_equal(source.data, image)
        assert source.pixel_size == {"Y": 0.5, "X": 0.25}
        assert source.units == {"Y": "micrometer", "X": "micrometer"}
    gp.deblur(tmp_path / "in.tif", out=tmp_path / "out.tif", kernel=KERNEL, tile_size="auto")
    whole = gp.known_kernel(image, KERNEL).image
    assert np.abs(tifffile.imread(tmp_path / "out.tif") - whole).max() <= 1


@pytest.mark.slow
def test_dask_arrays_are_read_in_pieces(tmp_path, blurred):
    import dask.array

    read = []

    def note(block):
        read.append(block.shape)
        return block

    source = dask.array.from_array(blurred, chunks=(100, 130)).map_blocks(note, dtype=blurred.dtype)
    result = gp.deblur(source, out=tmp_path / "out.zarr", kernel=KERNEL, tile_size=100)
    assert (100, 130) in read
    assert blurred.shape not in read
    tiles = result.provenance.arguments["tiles_per_plane"]
    assert result.status.sentence == f"Completed, in {tiles} tiles."


@pytest.mark.slow
def test_a_stopped_run_leaves_what_was_there(tmp_path, blurred):
    for name in ("out.zarr", "out.tif"):
        first = gp.deblur(blurred[:64, :64], out=tmp_path / name, kernel=KERNEL, tile_size="auto")
        run = gp.iter_deblur(blurred, out=tmp_path / name, kernel=KERNEL, tile_size=100)
        while "Tile 3/" not in next(run).stage:
            pass
        run.close()
        with lazy.open_lazy(first.path) as kept:
            assert kept.data.shape == (64, 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif", "out.zarr"]


def killed(run, stage, folder):
    """Leave in ``folder`` what a run leaves that is killed at a stage."""
    while stage not in next(run).stage:
        pass
    left, kept = list(folder.glob(".*.part*")), folder.parent / f"{folder.name} kept"
    kept.mkdir()
    for path in left:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, kept / path.name)
    run.close()
    for path in left:
        assert not path.exists()
        (kept / path.name).rename(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_a_killed_run_resumes(tmp_path, blurred, name, monkeypatch):
    monkeypatch.setattr(writing, "CHUNK_PX", 32)
    image = np.stack([as_16_bit(blurred[:200, :150]), as_16_bit(blurred[-200:, :150])])
    arguments = {"kernel": KERNEL, "tile_size": 64, "axes": "TYX"}
    whole = gp.deblur(image, out=tmp_path / f"whole-{name}", **arguments)
    folder = tmp_path / "here"
    folder.mkdir()
    tiles, columns = whole.provenance.arguments["tiles_per_plane"], 3
    killed(gp.iter_deblur(image, out=folder / name, **arguments), f"Tile {tiles + 3 * columns + 2}/", folder)
    assert not (folder / name).exists()
    stages = []
    result = run_to_end(
        map_states(gp.iter_deblur(image, out=folder / name, **arguments), lambda p: stages.append(p.stage))
    )
    assert "Resumed a run that was killed at plane 2, row" in result.status.sentence
    assert 0 < sum(stage.startswith("Tile") for stage in stages) < tiles  # of twice as many
    with lazy.open_lazy(folder / name) as made, lazy.open_lazy(whole.path) as expected:
        np.testing.assert_array_equal(made.data[:], expected.data[:])
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.slow
def test_a_kernel_is_not_estimated_again_by_a_run_that_resumes(tmp_path, blurred, monkeypatch):
    blurred, arguments = blurred[:110, :110], {"kernel_size": 9, "tile_size": 64}
    whole = gp.deblur(blurred, out=tmp_path / "whole.tif", **arguments)
    folder = tmp_path / "here"
    folder.mkdir()
    killed(gp.iter_deblur(blurred, out=folder / "out.tif", **arguments), "Tile 1/", folder)
    monkeypatch.setattr(deblurring, "run_recipe", None)
    result = gp.deblur(blurred, out=folder / "out.tif", **arguments)
    np.testing.assert_array_equal(tifffile.imread(result.path), tifffile.imread(whole.path))
    assert result.verdict == whole.verdict


KILLED = """
import os, sys
import numpy as np, napari_genprior as gp
source, destination, kernel = sys.argv[1:]
run = gp.iter_deblur(source, out=destination, kernel=np.load(kernel), tile_size=64)
while "Tile 4/" not in next(run).stage:
    pass
os._exit(9)  # nothing is cleaned up, as when it is killed
"""


@pytest.mark.slow
def test_a_run_does_not_resume_another_one(tmp_path, blurred):
    tifffile.imwrite(tmp_path / "in.tif", as_16_bit(blurred[:150, :150]))
    np.save(tmp_path / "kernel.npy", KERNEL)
    words = [str(tmp_path / file) for file in ("in.tif", "out.tif", "kernel.npy")]
    subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
    assert (tmp_path / ".out.tif.part").exists()
    result = gp.deblur(tmp_path / "in.tif", out=tmp_path / "out.tif", kernel=np.eye(5), tile_size=64)
    assert "killed" not in result.status.sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "kernel.npy", "out.tif"]


@pytest.mark.slow
def test_two_runs_do_not_write_the_same(tmp_path, blurred):
    first = gp.iter_deblur(blurred, out=tmp_path / "out.tif", kernel=KERNEL, tile_size=64)
    while "Tile 1/" not in next(first).stage:
        pass
    with pytest.raises(FileError, match="Another run"):
        gp.deblur(blurred, out=tmp_path / "out.tif", kernel=KERNEL, tile_size=64)
    result = run_to_end(first)
    assert result.path.exists()


def test_statistics_by_strips_are_those_of_the_whole(blurred, monkeypatch):
    from napari_genprior.core.provenance import array_hash
    from napari_genprior.operators.noise import noise_std

    monkeypatch.setattr(global_statistics, "STRIP_BYTES", 1)
    monkeypatch.setattr(global_statistics, "COLUMNS", 130)
    statistics = GlobalStatistics(blurred.dtype, blurred.shape, region=64)
    assert list(statistics.update(blurred))[-1] == 1
    assert statistics.sha256 == array_hash(blurred)
    assert statistics.noise == pytest.approx(float(noise_std(torch.from_numpy(blurred)[None, None])), rel=5e-3)
    assert statistics.part.shape == (64, 64)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"tile_size": 5}, InputError, "at least 64"),
        ({"out": "out.png"}, InputError, r"write \.tif or \.npy"),
        ({"source": np.ones((2, 64, 64)), "axes": "TYX", "out": "out.png"}, InputError, r"\.zarr, \.tif or"),
        ({"out": "missing/out.tif"}, FileError, "No such file"),
        ({"source": "missing.tif"}, FileError, "no file"),
        ({"source": np.zeros((64, 64))}, InputError, "constant"),
        ({"source": np.full((64, 64), np.nan)}, InputError, "constant"),
        ({"source": np.zeros((64, 64, 8, 70))}, InputError, "Say which"),
        ({"source": np.zeros((64, 64, 8)), "axes": "YXC"}, InputError, "last ones must be YX"),
        ({"method": "wizardry"}, InputError, "Unknown method"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, blurred, change, error, words):
    monkeypatch.chdir(tmp_path)
    arguments = {"source": blurred, "out": "out.tif", "kernel": KERNEL, "tile_size": "auto"} | change
    with pytest.raises(error, match=words):
        gp.deblur(arguments.pop("source"), **arguments)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_zarr_are_not_replaced(tmp_path, blurred):
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "precious.txt").write_text("mine")
    with pytest.raises(FileError, match="not replaced"):
        gp.deblur(blurred, out=tmp_path / "out.zarr", kernel=KERNEL, tile_size="auto")
    assert (tmp_path / "out.zarr" / "precious.txt").read_text() == "mine"


def test_the_input_is_not_overwritten(tmp_path, blurred):
    gp.deblur(blurred[:64, :64], out=tmp_path / "in.zarr", kernel=KERNEL, tile_size="auto")
    with pytest.raises(InputError, match="input itself"):
        gp.deblur(tmp_path / "in.zarr", out=tmp_path / "in.zarr", kernel=KERNEL, tile_size="auto")


@pytest.mark.slow
def test_without_zarr_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['zarr'] = None\n"
        "import numpy as np, napari_genprior as gp\n"
        "try: gp.deblur(np.eye(64), out='out.zarr', kernel=[[1.0]], tile_size='auto')\n"
        "except gp.GenPriorError as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "napari-genprior[zarr]" in answer.stdout


@pytest.mark.slow
def test_genprior_deblur_takes_large_files_by_tiles(tmp_path, blurred, monkeypatch, capsys):
    monkeypatch.setattr(image_source, "LARGE_PX", 120)
    tifffile.imwrite(tmp_path / "in.tif", as_16_bit(blurred[:130, :140]))
    np.save(tmp_path / "kernel.npy", KERNEL)
    words = [
        "deblur",
        "in.tif",
        "-o",
        "out.zarr",
        "--kernel",
        "kernel.npy",
        "--report",
        "r.json",
        "--kernel-out",
        "k.tif",
    ]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    with lazy.open_lazy("out.zarr") as made:
        assert made.data.shape == (130, 140)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["provenance"]["arguments"]["tiles_per_plane"] == 1
    np.testing.assert_allclose(tifffile.imread("k.tif"), KERNEL)
    assert main(["deblur", "--rerun", "r.json", "-o", "again.zarr"]) == 0
    with lazy.open_lazy("out.zarr") as first, lazy.open_lazy("again.zarr") as again:
        np.testing.assert_array_equal(first.data[:], again.data[:])
    capsys.readouterr()
    tifffile.imwrite(tmp_path / "in.tif", 1 + as_16_bit(blurred[:130, :140]))
    assert main(["deblur", "--rerun", "r.json", "-o", "third.zarr"]) == 2
    assert "SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "third.zarr").exists()
    assert main(["deblur", "in.tif", "-o", "out.png", "--kernel", "kernel.npy", "--report", "r.json"]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["provenance"]["arguments"]["tiles_per_plane"] == 1
    assert main(["deblur", "in.tif", "-o", "out.tif", "--kernel", "kernel.npy"]) == 0
    np.testing.assert_array_equal(read_image("out.png"), tifffile.imread("out.tif"))


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_small_tiff_files_need_no_optional_package_and_damaged_ones_are_named(tmp_path, blurred, compression):
    image = as_16_bit(blurred[:64, :70])
    tifffile.imwrite(tmp_path / "in.tif", image, compression=compression)
    colour = np.stack([image] * 3)
    tifffile.imwrite(tmp_path / "planar.tif", colour, photometric="rgb", planarconfig="separate", metadata=None)
    np.save(tmp_path / "k.npy", KERNEL)
    code = (
        "import sys; sys.modules['zarr'] = None\n"
        "from napari_genprior.cli import main\n"
        "for name in ('in.tif', 'planar.tif'):\n"
        "    assert main(['deblur', name, '-o', f'out-{name}', '--kernel', 'k.npy', '--quiet']) == 0"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert tifffile.imread(tmp_path / "out-planar.tif").shape == (64, 70, 3)
    content = (tmp_path / "in.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileError, match="damaged or truncated"):
        gp.deblur(tmp_path / "cut.tif", kernel=KERNEL)


@pytest.mark.skipif(
    not (torch.cuda.is_available() or torch.backends.mps.is_available()), reason="needs a GPU (CUDA or MPS)"
)
def test_gpu_and_cpu_agree(blurred, tmp_path):
    cpu, gpu = (
        gp.deblur(blurred, out=tmp_path / f"{device}.zarr", kernel=KERNEL, tile_size=100, device=device)
        for device in ("cpu", "auto")
    )
    assert gpu.provenance.device != "cpu"
    made = [zarr.open(result.path / "0", mode="r")[:] for result in (cpu, gpu)]
    assert np.abs(made[0] - made[1]).max() < 1e-3  # of the range; FFTs of float32 differ in their last digits


def test_a_sharp_image_is_left_as_it_is(tmp_path):
    sharp = np.rint(255 * blocks(200, 260)).astype(np.uint8)
    result = gp.deblur(sharp, out=tmp_path / "out.tif", axes="YX", tile_size=64)
    assert result.verdict.label == "no improvement"
    assert result.provenance.arguments["tiles_per_plane"] > 1
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), sharp)
