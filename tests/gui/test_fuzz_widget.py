"""Odd layers: the widget says whether it can use them, and stays usable."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_genprior._napari.deblur_widget import DeblurWidget
from napari_genprior._napari.kernel_widget import KernelWidget
from napari_genprior._napari.settings_form import set_value

PLANE = np.random.default_rng(0).random((24, 28))
TYPES = (
    "u1",
    "u2",
    "u4",
    "u8",
    "i1",
    "i2",
    "i4",
    "i8",
    "f2",
    "f4",
    "f8",
    "?",
    ">f4",
)  # napari itself refuses complex ones


def spoilt(value: float) -> np.ndarray:
    plane = PLANE.copy()
    plane[3, 4] = value
    return plane


ODD = {
    **{f"type {name}": lambda name=name: (PLANE * 100).astype(name) for name in TYPES},
    "nan": lambda: spoilt(np.nan),
    "infinite": lambda: spoilt(np.inf),
    "all nan": lambda: np.full((24, 28), np.nan),
    "constant": lambda: np.ones((24, 28)),
    "zero": lambda: np.zeros((24, 28), np.uint8),
    "huge values": lambda: PLANE * 1e300,
    "tiny values": lambda: PLANE * 1e-300,
    "negative": lambda: -PLANE,
    "one spike": lambda: spoilt(1e30),
    "one row": lambda: PLANE[:1],
    "seven rows": lambda: PLANE[:7],
    "one pixel": lambda: PLANE[:1, :1],
    "stack": lambda: np.stack([PLANE] * 3 + [1 - PLANE]),
    "five axes": lambda: np.broadcast_to(PLANE, (2, 1, 2, 24, 28)).copy(),
    "turned": lambda: PLANE[::-1].T,
    "frozen": lambda: np.broadcast_to(PLANE[:1], (24, 28)),
    "scales, huge and lazy": lambda: (
        [da.zeros((8000 * n, 8000 * n), chunks=4000, dtype="u2") for n in (25, 5)] + [PLANE]
    ),
    "long and lazy": lambda: da.random.random((10_000, 24, 28), chunks=(1, 24, 28)),
    "lazy and broken": lambda: da.stack([da.from_array(PLANE), da.from_delayed(broken(), PLANE.shape, PLANE.dtype)]),
    "colour": lambda: np.stack([PLANE] * 3, -1),
    "colour beyond 1": lambda: np.stack([PLANE * 3 - 1] * 3, -1),
    "colour and nan": lambda: np.stack([spoilt(np.nan)] * 3, -1),
    "colour of 16 bits": lambda: (np.stack([PLANE] * 4, -1) * 65535).astype("u2"),
    "scales": lambda: [PLANE, PLANE[::2, ::2]],
    "scales of colour": lambda: [np.stack([PLANE] * 3, -1), np.stack([PLANE] * 3, -1)[::2, ::2]],
}


def broken():
    from dask import delayed

    @delayed
    def fail() -> np.ndarray:
        raise OSError("the disk is gone")

    return fail()


@pytest.fixture
def widget(qtbot, viewer):
    made = DeblurWidget(viewer)
    qtbot.addWidget(made)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_an_odd_layer_leaves_the_widget_alive(widget, viewer, qtbot, finish, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own, at odd data
        data = ODD[name]()
        if name.startswith("scales"):
            viewer.add_image(data, multiscale=True, rgb="colour" in name)
        else:
            viewer.add_image(data, rgb=name.startswith("colour"), contrast_limits=(0, 1))
    known = list(viewer.layers)
    qtbot.waitUntil(lambda: bool(widget.sentence.text()))
    assert "Traceback" not in widget.sentence.text()
    small = all(np.prod(getattr(layer.data, "shape", (0,))) < 1e6 for layer in known)
    if widget.run_button.isEnabled() and small:
        set_value(widget.time_limit, 1.0)
        widget.run_or_cancel()
        finish(widget)
        assert widget.run_button.text() == "Run"
        said = [notification.message for notification in notification_manager.records]
        assert len(viewer.layers) > len(known) or widget.verdict.text() or said
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    viewer.add_image((PLANE * 255).astype(np.uint8), name="good")
    qtbot.waitUntil(lambda: widget.run_button.isEnabled())


@pytest.mark.parametrize("kind", ["labels", "points", "shapes", "surface", "vectors", "tracks"])
def test_layers_that_are_no_images_are_not_offered(widget, viewer, kind):
    data = {
        "labels": np.zeros((24, 28), int), "points": np.zeros((3, 2)), "shapes": np.array([[0, 0], [9, 9.0]]),
        "surface": (np.eye(3), np.array([[0, 1, 2]]), np.ones(3)), "vectors": np.zeros((2, 2, 2)),
        "tracks": np.array([[0, 0, 1, 1], [0, 1, 2, 2.0]]),
    }[kind]  # fmt: skip
    getattr(viewer, f"add_{kind}")(data)
    assert not widget.run_button.isEnabled()
    assert widget.sentence.text()


@pytest.mark.parametrize("name", ["all nan", "constant", "type ?", "stack", "huge values"])
def test_odd_layers_as_kernels(qtbot, viewer, name):
    widget = KernelWidget(viewer)
    qtbot.addWidget(widget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        viewer.add_image(ODD[name](), contrast_limits=(0, 1))
    assert widget.isEnabled()
