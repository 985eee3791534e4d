"""The estimated duration of runs: of single images, stacks, volumes and tiles."""

import numpy as np
import pytest

from napari_genprior.methods.registry import METHODS
from napari_genprior.pipeline import runtime_estimate
from napari_genprior.pipeline.plan import make_plan

STACK = np.random.default_rng(0).random((6, 2, 64, 96)).astype(np.float32)
KERNEL = np.ones((3, 3))
NOISE = np.random.default_rng(0).random((64, 96)).astype(np.float32)


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "seconds.json"
    monkeypatch.setattr(runtime_estimate, "ratio_file", lambda: path)
    return path


def known(image=NOISE, **arguments):
    return make_plan(image, "known-kernel", kernel=np.ones((3, 3)), **arguments)


def test_every_method_has_a_first_guess_for_all_its_variants():
    named = {name for name, _ in runtime_estimate.COSTS}
    assert named | {"auto"} == set(METHODS)
    for name, method in METHODS.items():
        variants = {variant for each, variant in runtime_estimate.COSTS if each == name}
        assert variants >= ({"fast", "paper"} if "schedule" in method.settings.model_fields else set())


def test_larger_images_and_more_steps_take_longer():
    assert runtime_estimate.expected_s(known(np.tile(NOISE, (4, 4)))) > runtime_estimate.expected_s(known())
    plans = (make_plan(NOISE, "selfdeblur", kernel_size=5, steps=steps) for steps in (100, 1000))
    few, many = map(runtime_estimate.expected_s, plans)
    assert many == pytest.approx(10 * few)
    assert runtime_estimate.expected_s(make_plan(NOISE)) > runtime_estimate.expected_s(make_plan(NOISE, kernel_size=5))


def test_estimates_adapt_to_completed_runs(file):
    made = known()
    first = runtime_estimate.expected_s(made)
    runtime_estimate.record(made, 4 * first)
    assert runtime_estimate.expected_s(made) == pytest.approx(4 * first, rel=1e-3)
    runtime_estimate.record(made, first)
    assert runtime_estimate.expected_s(made) == pytest.approx(2 * first, rel=1e-3)  # the geometric mean
    cost = runtime_estimate.COSTS["classical", ""]  # another method: not touched by it
    assert runtime_estimate.expected_s(make_plan(NOISE)) == cost.overhead + cost.per_megapixel * NOISE.size / 1e6
    file.write_text('{"known-kernel, cpu": "nonsense"')
    assert runtime_estimate.expected_s(made) == first


def test_a_time_limit_bounds_the_estimate_and_changes_no_other(file):
    made = make_plan(NOISE, "selfdeblur", kernel_size=5, time_limit_s=2)
    assert runtime_estimate.expected_s(made) == 2
    runtime_estimate.record(made, 2.0)
    assert not file.exists()


def test_it_is_silent_where_nothing_can_be_written(file, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    runtime_estimate.record(known(), 5.0)
    assert runtime_estimate.expected_s(known()) > 0


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
    monkeypatch.setattr(runtime_estimate, "expected_s", lambda plan: seconds)
    assert runtime_estimate.sentence(known()) == text


def seconds(data=STACK, axes="TCYX", **arguments):
    return runtime_estimate.expected_s(make_plan(data, axes=axes, **arguments))


def test_more_planes_and_more_kernels_take_longer_and_given_kernels_less():
    assert seconds(kernel=KERNEL) < seconds()
    assert seconds(STACK[:3], kernel=KERNEL) == pytest.approx(seconds(kernel=KERNEL) / 2)
    assert seconds() < seconds(kernel_per="channel") < seconds(kernel_per="frame") < seconds(kernel_per="plane")
    single = runtime_estimate.expected_s(make_plan(STACK[0, 0]))
    assert seconds(kernel_per="plane") > 12 * single  # each kernel is searched in its plane alone
    assert seconds(kernel_per="plane", time_limit_s=0.5) < seconds(kernel_per="plane")


def test_volumes_take_longer_where_the_kernel_is_unknown():
    volume = STACK[:, 0]
    given = seconds(volume, "ZYX", mode="3d", kernel=np.ones((3, 3, 3)))
    assert 0 < given < seconds(volume, "ZYX", mode="3d")
    two = seconds(STACK, "ZTYX", mode="3d", kernel=np.ones((3, 3, 3)))
    assert two == pytest.approx(2 * given)


def test_estimates_of_stacks_adapt_to_completed_runs():
    made = make_plan(STACK, axes="TCYX", kernel=KERNEL)
    first = runtime_estimate.expected_s(made)
    runtime_estimate.record(made, 5 * first)
    assert runtime_estimate.expected_s(made) == pytest.approx(5 * first, rel=1e-3)
    single = make_plan(STACK[0, 0], "known-kernel", kernel=KERNEL)
    assert runtime_estimate.expected_s(single) < first  # single runs have a ratio of their own


def test_tiles_take_a_search_each():
    image = np.tile(STACK[0, 0], (3, 3))
    one, nine = (runtime_estimate.expected_s(make_plan(image, tiles=tiles)) for tiles in ((1, 1), (3, 3)))
    assert nine > one
    given = runtime_estimate.expected_s(make_plan(image, tiles=(2, 2), kernel=np.ones((2, 2, 3, 3))))
    assert given == runtime_estimate.expected_s(make_plan(image, "known-kernel", kernel=KERNEL))
