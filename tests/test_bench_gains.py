"""The Lai and Kodak benchmarks on tiny simulated sets: images and kernels are paired, gains and losses are counted."""

import numpy as np
import pytest
from scipy.ndimage import shift

from images import blocks
from napari_genprior import blur
from napari_genprior.cli import main
from napari_genprior.core import image_io as io
from napari_genprior.evaluation import benchmark_gains as gains
from napari_genprior.evaluation import benchmark_kodak as kodak
from napari_genprior.evaluation import benchmark_lai as lai


def eight_bits(image):
    return np.rint(255 * image).astype(np.uint8)


@pytest.fixture
def lai_folder(tmp_path):
    """A set in which every blurred image is its true image with a large shift."""
    for seed, kind in enumerate(lai.CLASSES):
        for scene in ("01", "02"):
            truth = eight_bits(blocks(120, 110, seed))
            io.write_image(tmp_path / f"{kind}_{scene}_gt.png", truth)
            for kernel in lai.KERNELS:
                moved = shift(truth, (-20, 11), order=0, mode="nearest")
                io.write_image(tmp_path / f"{kind}_{scene}_{kernel}.png", moved)
    np.savez(tmp_path / "kernels_estimated.npz", kernel_01=blur.motion(5), kernel_02=blur.motion(9))
    return tmp_path


@pytest.fixture
def kodak_folder(tmp_path):
    (tmp_path / "kodak").mkdir()
    (tmp_path / "levin" / "gt").mkdir(parents=True)
    for number in range(1, 13):
        colour = np.stack([blocks(64, 72, seed=number + shade) for shade in range(3)], axis=-1)
        io.write_image(tmp_path / "kodak" / f"kodim{number:02}.png", eight_bits(colour))
    kernels = {f"kernel{n}": blur.motion(5 + n, 20 * n) for n in range(1, 9)}
    np.savez(tmp_path / "levin" / "gt" / "kernels_convolution.npz", **kernels)
    return tmp_path / "kodak"


def test_lai_holds_each_scene_under_each_kernel_and_aligns_large_shifts(lai_folder):
    found = list(lai.cases(lai_folder))
    assert len({case.name for case in found}) == lai.COUNT
    assert {case.name[:-10] for case in found[:10]} == {case.name[:-10] for case in found}
    assert {case.name: case.kernel.shape for case in found}["text_02_kernel_02"] == blur.motion(9).shape
    assert gains._score(found[0].blurred, found[0].truth, lai.MAX_SHIFT_PX) == (np.inf, pytest.approx(1))


def test_kodak_blurs_each_image_by_each_kernel_reproducibly(kodak_folder):
    first, again = (list(kodak.cases(kodak_folder, kodak_folder.parent / "levin")) for _ in range(2))
    assert len({case.name for case in first}) == kodak.COUNT
    assert all(np.array_equal(a.blurred, b.blurred) for a, b in zip(first, again, strict=True))
    case = first[0]
    assert case.blurred.dtype == np.uint8
    assert case.blurred.shape == case.truth.shape  # cropped to the valid part
    assert case.blurred.shape[0] == 64 - case.kernel.shape[0] + 1
    assert 20 < gains._score(case.blurred, case.truth, 5)[0] < 40


def test_gains_and_losses_are_counted_per_group_and_the_worst_is_named(monkeypatch):
    truth = eight_bits(blocks(40, 44))
    poor, fair = truth // 2, truth - truth // 8
    results = {poor.tobytes(): fair, fair.tobytes(): poor}
    calls = []

    def deblur(image, method, **arguments):
        calls.append(arguments)
        return type("Result", (), {"found": results[image.tobytes()]})

    monkeypatch.setattr(gains, "deblur", deblur)
    kernel = np.ones((3, 5))
    cases = [gains.Case("won", ("a", "b"), poor, truth, kernel), gains.Case("lost", ("b",), fair, truth, kernel)]
    table = [line.split() for line in gains.lines("set", cases, "classical", True, 2)]
    rows = {row[0]: row for row in table[1:]}
    assert list(rows) == ["a", "b", "all"]
    assert rows["a"][1] == "1"
    assert rows["a"][6] == "0"
    assert float(rows["a"][4]) > 5
    assert rows["all"][6] == "1"
    assert rows["all"][-1] == "lost"
    assert calls == [{"kernel_size": (3, 5)}] * 2
    list(gains.measure(cases, "known-kernel", False, 2))
    assert list(calls[-1]) == ["kernel"]


@pytest.mark.slow
def test_the_command_line_prints_the_tables(lai_folder, kodak_folder, capsys, monkeypatch):
    monkeypatch.setattr(lai, "MAX_SHIFT_PX", 3)
    assert main(["bench", "lai", str(lai_folder), "--method", "known-kernel", "--count", "1", "--per-image"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("all")
    assert main(["bench", "kodak", str(kodak_folder), "--grey", "--method", "known-kernel", "--count", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["set", "kernel1", "kernel2", "all"]
    assert float(out[-1].split()[4]) > 2


def test_folders_without_the_set_are_refused(tmp_path, capsys):
    assert main(["bench", "lai", str(tmp_path)]) == 2
    assert "not the expected test set" in capsys.readouterr().err
    assert main(["bench", "kodak", str(tmp_path)]) == 2
    assert "not the expected test set" in capsys.readouterr().err
