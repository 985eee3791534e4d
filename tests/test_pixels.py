"""What every pixel says: defects, marks, margins, clipping, masks, ranges and offsets."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core.errors import InputError
from napari_genprior.estimation.search_images import search_images
from napari_genprior.methods.final_deconvolution import match_flux
from napari_genprior.operators.defects import find_defects
from napari_genprior.operators.fill import fill_masked
from napari_genprior.operators.noise import noise_level
from napari_genprior.operators.observed import observe
from napari_genprior.operators.pixel_survey import clipping_levels, spike_level, survey_pixels
from napari_genprior.pipeline.observe import observe_piece
from napari_genprior.settings import KnownKernelSettings

torch.set_num_threads(1)
KERNEL = gp.blur.shake(length=8, size=11, seed=3)
CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def scene(size: int = 128) -> np.ndarray:
    """A sharp grey image in [0.1, 0.8]."""
    return 0.1 + 0.7 * gp.samples.cat()[40 : 40 + size, 40 : 40 + size].mean(-1) / 255


SHARP = scene()
BLURRED = gp.simulate(SHARP.astype(np.float32), KERNEL, noise=0.004, boundary="reflect", seed=1).blurred
COUNTS = np.rint(100 + 3000 * BLURRED).astype(np.uint16)
AWAY = np.s_[12:-12, 12:-12]


def psnr(image: np.ndarray, counts: bool = True, valid: np.ndarray | None = None) -> float:
    own = (image - 100) / 3000 if counts else image
    error = (own - SHARP)[AWAY] ** 2
    return float(-10 * np.log10(error.mean() if valid is None else error[valid[AWAY]].mean()))


@pytest.fixture(scope="module")
def sound_psnr() -> float:
    return psnr(gp.known_kernel(COUNTS, KERNEL).image)


def hot(image):
    image[60, 70] = image[20, 31] = image[21, 31] = 65535


def dead(image):
    image[RNG.integers(5, 120, 25), RNG.integers(5, 120, 25)] = 0


def salt_and_pepper(image):
    where = np.random.default_rng(1).random(image.shape)
    image[where < 0.01], image[where > 0.99] = 0, 65535


def dead_column(image):
    image[:, 50], image[77] = 0, 4095


def scale_bar(image):
    image[110:115, 80:120] = 65535


def margin(image):
    image[:, :30] = 0


def wedge(image):
    rows, columns = np.indices(image.shape)
    image[rows + columns < 60] = 0


@pytest.mark.parametrize("spoil", [hot, dead, salt_and_pepper, dead_column, scale_bar, margin, wedge])
def test_what_was_never_blurred_changes_nothing_elsewhere(spoil, sound_psnr):
    spoiled = COUNTS.copy()
    spoil(spoiled)
    result = gp.known_kernel(spoiled, KERNEL)
    sound = spoiled == COUNTS
    far = torch.nn.functional.max_pool2d(torch.from_numpy(~sound).float()[None, None], 9, 1, 4)[0, 0].numpy() == 0
    if spoil is salt_and_pepper:
        far = sound
    assert psnr(result.image, valid=far) > sound_psnr - 1
    assert "left out" in result.status.sentence
    assert result.verdict.improved


def test_a_sound_image_has_no_defects():
    for image, step in ((COUNTS, 1.0), (BLURRED, 0.0), (np.rint(BLURRED * 255), 1.0)):
        assert not find_defects(image.astype(np.float32), step).masked.any()
    assert gp.known_kernel(COUNTS, KERNEL).status.sentence == "Completed."


def test_a_blurred_point_is_no_defect():
    """A star under a narrow blur has neighbours that share its light; a hot pixel has none."""
    image = np.full((40, 40), 100.0, np.float32) + np.random.default_rng(0).normal(0, 1, (40, 40)).astype(np.float32)
    star = image.copy()
    star[18:23, 18:23] += 3000 * gp.blur.gaussian(0.8, size=5)
    image[20, 20] += 1000
    assert find_defects(image, 0.0).spots.sum() == 1
    assert not find_defects(star, 0.0).spots.any()


def test_marks_keep_their_values_and_hot_pixels_are_repaired():
    spoiled = COUNTS.copy()
    scale_bar(spoiled)
    spoiled[60, 70] = 65535
    image = gp.known_kernel(spoiled, KERNEL).image
    assert (image[110:115, 80:120] == 65535).all()
    assert image[60, 70] < 4000


def test_nan_is_left_out_and_stays(sound_psnr):
    image = COUNTS.astype(np.float32)
    image[:40, :40] = np.nan
    image[90, 90] = np.inf
    result = gp.known_kernel(image, KERNEL)
    assert np.isnan(result.image[:40, :40]).all()
    assert np.isfinite(result.image[:90, 50:]).all()
    valid = np.zeros(image.shape, bool)
    valid[60:85, 20:] = True
    assert psnr(result.image, valid=valid) > sound_psnr - 1.5


@pytest.mark.slow
def test_a_mask_influences_nothing(sound_psnr):
    """Whatever lies under the mask, the rest of the result is the same."""
    mask = np.zeros(COUNTS.shape, bool)
    mask[50:70, 50:80] = True
    images = []
    for value in (0, 1500, 40000):
        spoiled = COUNTS.copy()
        spoiled[mask] = value + np.arange(mask.sum()) % 50
        result = gp.known_kernel(spoiled, KERNEL)
        result = gp.deblur(spoiled, kernel=KERNEL, mask=mask)
        assert (result.image[mask] == spoiled[mask]).all()
        images.append(np.where(mask, 0, result.image))
    np.testing.assert_allclose(images[1], images[0], atol=0.5)
    np.testing.assert_allclose(images[2], images[0], atol=0.5)
    valid = np.ones(mask.shape, bool)
    valid[42:78, 42:88] = False
    assert psnr(images[0], valid=valid) > sound_psnr - 0.5
    masked = gp.deblur(np.ma.masked_array(COUNTS, mask), kernel=KERNEL)
    np.testing.assert_array_equal(masked.image, gp.deblur(COUNTS, kernel=KERNEL, mask=mask).image)


def test_one_mask_serves_all_planes():
    stack = np.stack([COUNTS[:64, :64]] * 3)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 20:30] = 7
    result = gp.deblur(stack, kernel=KERNEL, axes="TYX", mask=mask)
    assert (result.image[:, 20:30, 20:30] == stack[:, 20:30, 20:30]).all()
    assert "300 masked" in result.status.sentence
    whole = gp.deblur(stack, kernel=KERNEL, axes="TYX", mask=np.stack([mask] * 3))
    np.testing.assert_array_equal(whole.image, result.image)


@pytest.mark.parametrize(
    ("mask", "said"),
    [(np.zeros((5, 5)), "5x5"), (np.ones(COUNTS.shape), "too few"), (np.array(["a"]), "image of numbers")],
)
def test_masks_that_do_not_fit_are_refused(mask, said):
    with pytest.raises(InputError, match=said):
        gp.deblur(COUNTS, kernel=KERNEL, mask=mask)


def test_mask_on_the_command_line(tmp_path):
    mask = np.zeros(COUNTS.shape, np.uint8)
    mask[:20] = 1
    for name, array in (("image.tif", COUNTS), ("mask.tif", mask), ("kernel.tif", KERNEL)):
        tifffile.imwrite(tmp_path / name, array)
    out, report = tmp_path / "out.tif", tmp_path / "report.json"
    command = ["deblur", str(tmp_path / "image.tif"), "-o", str(out), "--kernel", str(tmp_path / "kernel.tif")]
    command += ["--mask", str(tmp_path / "mask.tif"), "--report", str(report), "--quiet"]
    assert not main(command)
    first = tifffile.imread(out)
    assert (first[:20] == COUNTS[:20]).all()
    assert "2560 masked" in json.loads(report.read_text())["status"]["sentence"]
    assert not main(["deblur", "--rerun", str(report), "-o", str(out), "--quiet"])
    np.testing.assert_array_equal(tifffile.imread(out), first)


def test_a_constant_added_changes_nothing(sound_psnr):
    result = gp.known_kernel(COUNTS + np.uint16(30000), KERNEL)
    assert psnr(result.image - 30000) > sound_psnr - 0.3


def test_a_dim_scene_beside_bright_objects_is_restored():
    dim = np.rint(100 + 300 * BLURRED)
    alone = psnr((gp.known_kernel(dim.astype(np.uint16), KERNEL).image - 100) * 10 + 100)
    spots = np.zeros_like(BLURRED)
    spots[30:41, 30:41] += 400000 * KERNEL
    spots[90:101, 60:71] += 500000 * KERNEL
    image = gp.known_kernel(np.rint(dim + spots).clip(0, 65535).astype(np.uint16), KERNEL).image
    far = np.ones(dim.shape, bool)
    far[20:51, 20:51] = far[80:111, 50:81] = False
    assert psnr((image - 100) * 10 + 100, valid=far) > alone - 2.5


def test_few_bright_objects_do_not_scale_the_scene_beside_them():
    """Their light is so much that a slight error of it would be a large factor for the scene."""
    values = torch.full((1, 1, 64, 64), 0.005)
    values[..., 20:23, 30:33] = 1.0
    restored = torch.where(values > 0.5, 0.6 * values, values)
    torch.testing.assert_close(match_flux(observe(values), restored, 0.0), restored)


@pytest.mark.slow
def test_a_dim_scene_beside_bright_objects_is_found_blind():
    spots = np.zeros_like(BLURRED)
    spots[30:41, 30:41] += 400000 * KERNEL
    spots[90:101, 60:71] += 500000 * KERNEL
    counts = np.rint(100 + 300 * BLURRED + spots).clip(0, 65535).astype(np.uint16)
    far = np.ones(counts.shape, bool)
    far[20:51, 20:51] = far[80:111, 50:81] = False
    dim = np.rint(100 + 300 * BLURRED).astype(np.uint16)
    found, alone = (gp.deblur(each, kernel_size=11).found for each in (counts, dim))
    assert psnr((found - 100) * 10 + 100, valid=far) > psnr((alone - 100) * 10 + 100, valid=far) - 4


def test_few_counts_are_not_clipped():
    """Where values are few each has many pixels, and the last of them many more than the rest above."""
    rows, columns = np.indices((128, 128))
    clean = 10.5 + 2 * np.sign(np.sin(rows / 9)) * np.sin(columns / 7) ** 2
    counts = np.rint(clean + np.random.default_rng(0).normal(0, 0.3, clean.shape)).astype(np.uint16)
    assert np.isinf(clipping_levels(survey_pixels(counts[None]), None)).all()
    assert spike_level(np.array([900]), np.array([36]), 20.0, 4096) == 900, "a lamp, far above a night scene"


def test_a_kernel_is_searched_between_black_bars():
    bars = np.zeros((200, 128), np.uint8)
    bars[60:160] = np.rint(250 * BLURRED[:100]).clip(1)
    piece = observe_piece(bars, KnownKernelSettings.checked({}), CPU)
    images = search_images(piece.observed, 0.01)
    assert images.grey.shape == (1, 1, 100, 128)
    assert not images.masked.any()


def test_clipping_is_found_at_any_level(sound_psnr):
    lit = SHARP.copy()
    lit[40:44, 60:66] = lit[80:83, 90:93] = 6.0
    clean = gp.simulate(lit.astype(np.float32), KERNEL, noise=0, boundary="reflect", clip=False).blurred
    noisy = clean + np.random.default_rng(0).normal(0, 0.004, clean.shape)
    counts = np.rint(100 + 3000 * noisy).clip(0, 4000).astype(np.uint16)
    counts[5, 5] = 4095
    piece = observe_piece(counts, KnownKernelSettings.checked({}), CPU)
    assert piece.intensity.saturation == (4000.0,)
    far = np.ones(lit.shape, bool)
    far[28:56, 48:78] = far[68:95, 78:105] = False
    result = gp.known_kernel(counts, KERNEL)
    assert psnr(result.image, valid=far) > sound_psnr - 1
    assert result.image.max() > 4000, "results are not clipped"


def test_the_noise_of_observed_pixels_counts():
    """Bars, empty channels and rounding do not make the noise nothing."""
    settings = KnownKernelSettings.checked({})
    levels = np.rint(255 * BLURRED).astype(np.uint8)
    noise = noise_level(observe_piece(levels, settings, CPU).observed)
    letterbox = np.zeros((256, 128), np.uint8)
    letterbox[64:192] = levels
    green = np.stack([np.zeros_like(levels), levels, np.zeros_like(levels)], -1)
    for image in (letterbox, green):
        assert noise_level(observe_piece(image, settings, CPU).observed) == pytest.approx(noise, rel=0.15)
    few = np.rint(8 * BLURRED).astype(np.uint8)
    piece = observe_piece(few, settings, CPU)
    assert noise_level(piece.observed) >= 12**-0.5 / piece.intensity.scale * 0.99


def test_filling_is_smooth_and_leaves_the_rest():
    ramp = np.add.outer(np.arange(40.0), 2 * np.arange(50.0)).astype(np.float32)
    masked = np.zeros(ramp.shape, bool)
    masked[10, 10] = masked[20:23, 30:33] = True
    filled = fill_masked(np.where(masked, np.nan, ramp), masked)
    np.testing.assert_array_equal(filled[~masked], ramp[~masked])
    np.testing.assert_allclose(filled, ramp, atol=1.5)
    half = np.zeros(ramp.shape, bool)
    half[:, 25:] = True
    assert np.isfinite(fill_masked(np.where(half, np.nan, ramp), half)).all()


@pytest.mark.slow
def test_tiles_leave_out_what_a_whole_image_does():
    spoiled = np.tile(COUNTS, (2, 2))
    spoiled[100:103, 100] = 65535
    spoiled[40, 200] = 0
    mask = np.zeros(spoiled.shape, bool)
    mask[180:200, 30:60] = True
    whole = gp.deblur(spoiled, kernel=KERNEL, mask=mask)
    tiled = gp.deblur(spoiled, kernel=KERNEL, mask=mask, tile_size=96)
    assert np.abs(tiled.image - whole.image)[20:-20, 20:-20].max() < 30
    assert "600 masked" in tiled.status.sentence


def test_results_keep_what_a_file_cuts_off(tmp_path):
    """Peaks beyond 255 stay in the array and in a float file; an 8-bit file says how many it lost."""
    beads = np.full((64, 64), 0.05, np.float32)
    beads[20, 20] = beads[40, 30] = 6.0
    image = np.rint(255 * gp.simulate(beads, KERNEL, noise=0, boundary="reflect", clip=False).blurred / 1.2)
    image = image.clip(0, 255).astype(np.uint8)
    assert image.max() < 255, "nothing is clipped in the input"
    in_memory = gp.known_kernel(image, KERNEL).image
    assert in_memory.max() > 300
    assert in_memory.sum() == pytest.approx(image.sum(), rel=1e-3)
    cut = gp.known_kernel(image, KERNEL, out=tmp_path / "out.tif")
    assert f"{(np.rint(in_memory) > 255).sum()} above 255" in cut.status.sentence
    assert tifffile.imread(tmp_path / "out.tif").dtype == np.uint8
    whole = gp.known_kernel(image, KERNEL, out=tmp_path / "float.tif", dtype="float32")
    assert "cut off" not in whole.status.sentence
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "float.tif"), in_memory)
    stack = gp.known_kernel(np.stack([image] * 2), KERNEL, axes="TYX", out=tmp_path / "stack.tif")
    assert f"{2 * (np.rint(in_memory) > 255).sum()} above 255" in stack.status.sentence
    with pytest.raises(InputError, match="float32"):
        gp.known_kernel(image, KERNEL, dtype="float32")
    with pytest.raises(InputError, match="one of input, float32"):
        gp.known_kernel(image, KERNEL, out=tmp_path / "x.tif", dtype="int12")


def test_a_hot_pixel_hides_no_mark_and_a_mark_no_hot_pixel():
    """Text at the value of white paper is found beside a hotter pixel; so are dead pixels beside a black margin."""
    spoiled = COUNTS.astype(np.float32)
    spoiled[20, 20] = 60000
    spoiled[100:103, 60:90] = spoiled[90:97, 62] = 3400
    spoiled[:12] = 0
    spoiled[13, 30] = spoiled[14, 60] = 0
    found = find_defects(spoiled, 1.0)
    assert found.masked[20, 20]
    assert found.marks[100:103, 60:90].all()
    assert found.marks[:12].all()
    assert found.masked[13, 30]
    assert found.masked[14, 60]


def test_a_mark_in_an_empty_channel_is_a_mark():
    """A white bar on an image of one colour is found in the empty channels too, and what is black stays."""
    empty = np.zeros((64, 64), np.float32)
    empty[50:53, 20:50] = 255
    marks = find_defects(empty, 1.0).marks
    np.testing.assert_array_equal(marks, empty > 0)
    with pytest.raises(InputError, match="constant"):
        gp.known_kernel(empty, KERNEL)


def test_the_gap_between_columns_of_text_is_no_stuck_column():
    """Strokes under vertical motion deviate along much of a column, as a stuck one does, but have many values."""
    page = np.full((120, 120), 0.9, np.float32)
    page[10:70, 40] = 0.1
    page[75:105, 40] = 0.3
    page = gp.simulate(page, gp.blur.motion(9, 90), noise=0.004, boundary="reflect", seed=2).blurred
    assert not find_defects(page, 0.0).lines.any()
    page[:, 80] = 0.2
    np.testing.assert_array_equal(np.flatnonzero(find_defects(page, 0.0).lines.all(0)), [80])


def test_straight_lines_of_a_chart_are_no_stuck_lines():
    """Axes along the motion are as sharp across as a stuck row, but have the noise of the scene."""
    chart = np.full((128, 128), 0.9)
    chart[:, 40:42] = chart[100:102] = 0.1
    chart[60:100, 60:76], chart[30:100, 90:106] = 0.4, 0.3
    for kernel in (gp.blur.motion(7), gp.blur.gaussian(1.0)):
        blurred = gp.simulate(chart.astype(np.float32), kernel, noise=0.005, boundary="reflect", seed=0).blurred
        assert not find_defects(np.rint(3000 * blurred).astype(np.float32), 1.0).masked.any()


def test_a_hot_pixel_in_a_corner_is_found():
    spoiled = COUNTS.astype(np.float32)
    spoiled[0, 0] = spoiled[-1, -1] = 60000
    assert find_defects(spoiled, 1.0).spots.sum() == 2


def test_a_large_offset_rounds_nothing_away():
    wide = 1e5 + BLURRED.astype(np.float64)
    assert psnr(gp.known_kernel(wide, KERNEL).image.astype(np.float64) - 1e5, counts=False) > 25
    with pytest.raises(InputError, match="Subtract a constant"):
        gp.known_kernel(1e9 + BLURRED.astype(np.float64), KERNEL)


@pytest.mark.parametrize("shape", [(8, 200), (200, 9), (12, 12)])
def test_thin_images_are_restored(shape):
    image = np.resize(COUNTS, shape)
    assert gp.known_kernel(image, gp.blur.gaussian(1.0)).image.shape == shape


def test_an_image_or_frame_of_one_lit_pixel_has_nothing_to_restore():
    lit = np.zeros((64, 64), np.uint8)
    lit[30, 30] = 255
    with pytest.raises(InputError, match="constant"):
        gp.known_kernel(lit, KERNEL)
    sound = np.rint(255 * BLURRED[:64, :64]).astype(np.uint8)
    result = gp.known_kernel(np.stack([sound, lit]), KERNEL, axes="TYX")
    np.testing.assert_array_equal(result.image[1], lit)
    assert result.constant_pieces == ((1,),)


def test_a_plane_of_a_mask_serves_a_volume():
    volume = np.stack([COUNTS[:40, :40]] * 4)
    mask = np.zeros((40, 40), bool)
    mask[10:14, 10:14] = True
    result = gp.deblur(volume, kernel=np.ones((3, 3, 3)) / 27, mode="3d", mask=mask, settings={"steps": 3})
    assert "64 masked" in result.status.sentence
