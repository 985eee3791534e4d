"""How long a run over a stack, or one with tiles, is said to take."""

import numpy as np
import pytest

from napari_genprior.pipeline import runtime_estimate as expected
from napari_genprior.pipeline import stack_runtime as forecast
from napari_genprior.pipeline.plan import plan
from napari_genprior.pipeline.spatially_varying import plan_varying
from napari_genprior.pipeline.stack_plan import plan_stack

STACK = np.random.default_rng(0).random((6, 2, 64, 96)).astype(np.float32)
KERNEL = np.ones((3, 3))


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "seconds.json"
    monkeypatch.setattr(expected, "file", lambda: path)
    return path


def seconds(data=STACK, axes="TCYX", **arguments):
    return forecast.of_stack(plan_stack(data, axes, **arguments))


def test_more_planes_and_more_kernels_take_longer_and_given_kernels_less():
    assert seconds(kernel=KERNEL) < seconds()
    assert seconds(STACK[:3], kernel=KERNEL) == pytest.approx(seconds(kernel=KERNEL) / 2)
    assert seconds() < seconds(kernels="channel") < seconds(kernels="frame") < seconds(kernels="plane")
    single = expected.expected_s(plan(STACK[0, 0]))
    assert seconds(kernels="plane") > 12 * single  # each kernel is searched in its plane alone
    assert seconds(kernels="plane", time_limit_s=0.5) < seconds(kernels="plane")


def test_volumes_take_longer_where_the_kernel_is_unknown():
    volume = STACK[:, 0]
    given = seconds(volume, "ZYX", depth="volume", kernel=np.ones((3, 3, 3)))
    assert 0 < given < seconds(volume, "ZYX", depth="volume")
    two = seconds(STACK, "ZTYX", depth="volume", kernel=np.ones((3, 3, 3)))
    assert two == pytest.approx(2 * given)


def test_it_learns_from_runs_over_stacks():
    made = plan_stack(STACK, "TCYX", kernel=KERNEL)
    first = forecast.of_stack(made)
    forecast.learn(made, 5 * first)
    assert forecast.of_stack(made) == pytest.approx(5 * first, rel=1e-3)
    assert expected.expected_s(plan(STACK[0, 0], "known-kernel", kernel=KERNEL)) < first  # single runs are apart


def test_tiles_take_a_search_each():
    image = np.tile(STACK[0, 0], (3, 3))
    one, nine = (forecast.of_varying(plan_varying(image, tiles)) for tiles in ((1, 1), (3, 3)))
    assert nine > one
    given = forecast.of_varying(plan_varying(image, kernel=np.ones((2, 2, 3, 3))))
    assert given == expected.expected_s(plan(image, "known-kernel", kernel=KERNEL))
