"""Axes: inferred or asked for; pieces and kernels are counted; arrays are split into pieces and put together again."""

import numpy as np
import pytest

from napari_genprior.core.axes import infer_axes, make_layout
from napari_genprior.core.errors import InputError


@pytest.mark.parametrize(
    ("shape", "names", "expected"),
    [
        ((40, 48), None, "YX"),
        ((40, 48, 3), None, "YXS"),  # too narrow for an X
        ((5, 40, 48), "tyx", "TYX"),
        ((5, 40, 48), ("time", "y", "x"), "TYX"),
        ((3, 40, 48), "SYX", "SYX"),
        ((40, 48, 5), "YXZ", "YXZ"),
        ((5, 2, 40, 48), ("-4", "C", "-2", "-1"), None),  # T or Z
        ((5, 1, 40, 48), ("T", "-3", "-2", "-1"), "TCYX"),  # an axis of length 1 may be called anything
        ((2, 7, 5, 40, 48), ("T", "Q", "Z", "Y", "X"), "TCZYX"),
    ],
)
def test_axes_are_inferred_from_names_and_shape(shape, names, expected):
    if expected is None:
        with pytest.raises(InputError, match="several ways"):
            infer_axes(shape, names)
    else:
        assert infer_axes(shape, names) == expected


def test_several_possible_interpretations_are_listed_in_words():
    with pytest.raises(InputError) as error:
        infer_axes((5, 40, 48))
    for axes in ("'TYX' (5 frames of 40x48 px)", "'CYX' (5 channels", "'ZYX' (5 slices"):
        assert axes in str(error.value)
    with pytest.raises(InputError) as error:
        infer_axes((5, 40, 48, 3), ("I", "Y", "X", "S"))  # tifffile names unknown axes I
    assert "'TYXS'" in str(error.value)
    assert "in colour" in str(error.value)


@pytest.mark.parametrize(
    ("shape", "names", "reason"),
    [
        ((5, 40, 48), "TCYX", "one per axis"),
        ((5, 40, 48), "TTX", "named twice"),
        ((40, 48, 5), "TYX", "Y and X of 8 px"),
        ((5, 40, 48), "TCX", "Y and X"),
        ((5, 40, 48), "SYX", "colour, 3 or 4"),
        ((40,), None, "Y and X"),
        ((2, 2, 2, 2, 40, 48), None, "at most T"),
        ((0, 40, 48), "TYX", "Y and X"),
    ],
)
def test_impossible_axes_are_refused(shape, names, reason):
    with pytest.raises(InputError, match=reason):
        infer_axes(shape, names)


@pytest.mark.parametrize(
    ("kernel_per", "groups", "sentence"),
    [
        ("stack", (), "one kernel for all"),
        ("channel", (3,), "one kernel per channel (3)"),
        ("frame", (4,), "one kernel per frame (4)"),
        ("plane", (4, 3), "one kernel per plane (12)"),
    ],
)
def test_every_piece_has_one_kernel(kernel_per, groups, sentence):
    layout = make_layout((4, 3, 40, 48), "TCYX", kernel_per)
    assert layout.groups == groups
    assert layout.sentence == f"4 frames x 3 channels of 40x48 px, {sentence}"
    members = [index for group in np.ndindex(groups) for index in layout.members(group)]
    assert sorted(members) == list(np.ndindex(4, 3))
    for group in np.ndindex(groups):
        assert all(layout.group_of(index) == group for index in layout.members(group))


def test_volumes_are_counted_along_the_looped_axes():
    layout = make_layout((4, 7, 3, 40, 48), "TZCYX", "channel", "3d")
    assert (layout.looped, layout.pieces, layout.groups) == ("TC", (4, 3), (3,))
    assert layout.piece_shape == (7, 40, 48)
    assert "7x40x48 px" in layout.sentence


@pytest.mark.parametrize(
    ("axes", "shape", "mode", "piece"),
    [
        ("TCYX", (4, 3, 40, 48), "2d", (40, 48)),
        ("YXC", (40, 48, 3), "2d", (40, 48)),
        ("XTY", (48, 4, 40), "2d", (40, 48)),
        ("STYX", (3, 4, 40, 48), "2d", (40, 48, 3)),
        ("ZCYX", (7, 3, 40, 48), "3d", (7, 40, 48)),
        ("YXZ", (40, 48, 7), "3d", (7, 40, 48)),
    ],
)
def test_pieces_that_are_taken_and_put_back_give_the_same_array(axes, shape, mode, piece):
    layout = make_layout(shape, axes, mode=mode)
    data, back = np.arange(np.prod(shape)).reshape(shape), np.zeros(shape, int)
    for index in np.ndindex(layout.pieces):
        taken = layout.take(data, index)
        assert taken.shape == piece == layout.piece_shape
        layout.put(back, index, taken)
    np.testing.assert_array_equal(back, data)
    first = layout.take(data, (0,) * len(layout.pieces))
    at = {"Y": 2, "X": 3} | dict.fromkeys(set(axes) - {"Y", "X"}, 0)
    where = tuple(at[a] for a in layout.space + ("S" if "S" in axes else ""))
    assert first[where] == data[tuple(at[a] for a in axes)]


@pytest.mark.parametrize(
    ("axes", "arguments", "reason"),
    [
        ("TYX", {"kernel_per": "channel"}, "needs a C axis.*'frame'"),
        ("CYX", {"kernel_per": "frame"}, "needs a T axis.*'channel'"),
        ("TYX", {"kernel_per": "each"}, "one of stack, channel"),
        ("TYX", {"mode": "3d"}, "no Z axis"),
        ("TYX", {"mode": "deep"}, "one of 2d, 3d"),
    ],
)
def test_arguments_that_need_a_missing_axis_are_refused(axes, arguments, reason):
    with pytest.raises(InputError, match=reason):
        make_layout((5, 40, 48), axes, **arguments)


def test_a_colour_volume_is_refused():
    with pytest.raises(InputError, match="split them"):
        make_layout((5, 40, 48, 3), "ZYXS", mode="3d")
