"""The Levin benchmark: images and protocols."""

from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import shift

from images import blocks
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.core.errors import InputError
from napari_genprior.evaluation import benchmark_levin as levin


@pytest.fixture
def small_set(tmp_path):
    """A set in the layout of the real one, in which every blurred image is its true image shifted by a few pixels."""
    (tmp_path / "gt").mkdir()
    for scene in levin.SCENES:
        truth = (blocks(64, 64, seed=scene) * 255).astype(np.uint8)
        io.write_image(tmp_path / "gt" / f"im{scene}.png", truth)
        for number in range(1, 9):
            moved = shift(truth.astype(float), (1, -2), order=1, mode="nearest").astype(np.uint8)
            io.write_image(tmp_path / f"im{scene}_kernel{number}_img.png", moved)
    np.savez(tmp_path / "gt" / "kernels_convolution.npz", **{f"kernel{n}": np.ones((1, 1)) for n in range(1, 9)})
    return tmp_path


def test_a_mere_shift_scores_as_perfect(small_set):
    found = list(levin.scores(small_set, "blurred"))
    assert len({score.name for score in found}) == 32
    assert all(score.psnr > 100 or np.isinf(score.psnr) for score in found)


def test_the_table_has_a_line_per_protocol(small_set, capsys):
    assert main(["bench", "levin", str(small_set), "--protocol", "blurred"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:3] == ["protocol", "PSNR", "SSIM"]
    assert out[1].startswith("blurred")


def test_a_folder_without_the_set_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="Levin set"):
        list(levin.scores(tmp_path, "size-given"))
    assert main(["bench", "levin", str(tmp_path)]) == 2
    assert "does not hold the Levin set" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_set_gains_on_its_first_images(shared):
    folder = shared / "data" / "levin"
    before = [score.psnr for score in islice(levin.scores(folder, "blurred"), 3)]
    after = [score.psnr for score in islice(levin.scores(folder, "size-given"), 3)]
    assert np.mean(after) > np.mean(before) + 5
