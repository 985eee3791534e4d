"""How long a run is said to take."""

import numpy as np
import pytest

from napari_genprior.methods.registry import METHODS
from napari_genprior.pipeline import runtime_estimate as expected
from napari_genprior.pipeline.plan import plan

NOISE = np.random.default_rng(0).random((64, 96)).astype(np.float32)


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "seconds.json"
    monkeypatch.setattr(expected, "file", lambda: path)
    return path


def known(image=NOISE, **arguments):
    return plan(image, "known-kernel", kernel=np.ones((3, 3)), **arguments)


def test_every_method_has_a_first_guess_for_all_its_variants():
    named = {name for name, _ in expected.COSTS}
    assert named | {"auto"} == set(METHODS)
    for name, method in METHODS.items():
        variants = {variant for each, variant in expected.COSTS if each == name}
        assert variants >= ({"fast", "paper"} if "schedule" in method.settings.model_fields else set())


def test_larger_images_and_more_steps_take_longer():
    assert expected.expected_s(known(np.tile(NOISE, (4, 4)))) > expected.expected_s(known())
    few, many = (expected.expected_s(plan(NOISE, "selfdeblur", kernel_size=5, steps=n)) for n in (100, 1000))
    assert many == pytest.approx(10 * few)
    assert expected.expected_s(plan(NOISE)) > expected.expected_s(plan(NOISE, kernel_size=5))


def test_it_learns_from_runs_and_forgets_slowly(file):
    made = known()
    first = expected.expected_s(made)
    expected.learn(made, 4 * first)
    assert expected.expected_s(made) == pytest.approx(4 * first, rel=1e-3)
    expected.learn(made, first)
    assert expected.expected_s(made) == pytest.approx(2 * first, rel=1e-3)  # the geometric mean
    cost = expected.COSTS["classical", ""]  # another method: not touched by it
    assert expected.expected_s(plan(NOISE)) == cost.start + cost.per_megapixel * NOISE.size / 1e6
    file.write_text('{"known-kernel, cpu": "nonsense"')
    assert expected.expected_s(made) == first


def test_a_budget_bounds_it_and_teaches_nothing(file):
    made = plan(NOISE, "selfdeblur", kernel_size=5, time_limit_s=2)
    assert expected.expected_s(made) == 2
    expected.learn(made, 2.0)
    assert not file.exists()


def test_it_is_silent_where_nothing_can_be_written(file, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    expected.learn(known(), 5.0)
    assert expected.expected_s(known()) > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about a second"),
        (12.3, "about 12 s"),
        (119, "about 119 s"),
        (200, "about 3.3 min"),
        (80_000, "about 22 h"),
    ],
)
def test_sentence(monkeypatch, seconds, text):
    monkeypatch.setattr(expected, "expected_s", lambda plan: seconds)
    assert expected.sentence(known()) == text
