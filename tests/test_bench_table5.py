import numpy as np
import pytest

import napari_genprior as gp
from napari_genprior.core.errors import InputError
from napari_genprior.evaluation import benchmark_asim2020 as table5


@pytest.fixture
def folder(tmp_path):
    """A set of two small numbers, one of which is hardly blurred at all."""
    rng = np.random.default_rng(0)
    sharp = np.stack([np.kron(rng.uniform(40, 220, (4, 4, 3)), np.ones((8, 8, 1))) for _ in range(2)]).astype(np.uint8)
    blurred = gp.simulate(sharp[0], kernel=gp.blur.motion(9), noise=0.01, seed=0, boundary="circular").blurred
    np.savez(tmp_path / "svhn.npz", x_orig=sharp, alg1_y_from_test=np.stack([blurred.astype(np.uint8), sharp[1] ^ 1]))
    return tmp_path


@pytest.mark.slow
def test_gains_and_losses_are_counted_with_respect_to_the_blurred_input(folder):
    lines = list(table5.lines(folder, ("house-numbers",), "classical", per_image=True))
    assert len(lines) == 4
    assert [line.split()[:2] for line in lines[1:3]] == [["house-numbers", "0"], ["house-numbers", "1"]]
    assert lines[-1].split()[:2] == ["house-numbers", "2"]
    assert lines[-1].split()[-2] == "0"  # the sharp image is returned unchanged


def test_a_rejected_result_whose_input_is_returned_is_no_loss(folder, monkeypatch):
    def deblur(image, method, **arguments):
        verdict = type("Verdict", (), {"label": "no improvement"})
        return type("Result", (), {"found": image.astype(np.float32) // 2, "image": image, "verdict": verdict})

    monkeypatch.setattr(table5, "deblur", deblur)
    *_, image_line, row = table5.lines(folder, ("house-numbers",), "evidence", per_image=True)
    assert image_line.endswith("(no improvement)")
    blurred, *_, losses, output, output_losses, _seconds = row.split()[2:]
    assert (losses, output_losses) == ("2", "0")
    assert output == blurred


def test_methods_with_priors_get_that_of_the_set(folder, monkeypatch):
    calls = []

    def deblur(image, method, **arguments):
        calls.append((method, arguments))
        return type("Result", (), {"found": image, "image": image})

    monkeypatch.setattr(table5, "deblur", deblur)
    for method in ("evidence", "generator", "classical"):
        list(table5.lines(folder, ("house-numbers",), method, count=1))
    list(table5.lines(folder, ("house-numbers",), "relaxed", count=1, schedule="paper"))
    assert calls == [
        ("evidence", {"image_prior": "house-numbers-32-linear"}),
        ("generator", {"image_prior": "house-numbers-32"}),
        ("classical", {}),
        ("relaxed", {"image_prior": "house-numbers-32", "settings": {"schedule": "paper"}}),
    ]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"celeba.npz is not the expected test set"):
        list(table5.lines(tmp_path, ("faces",)))
