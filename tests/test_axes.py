"""What axes mean: readings are told apart or asked for, pieces and kernels are counted, arrays go there and back."""

import numpy as np
import pytest

from napari_genprior.core.axes import interpret, make_layout
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
def test_names_and_shape_tell_the_axes(shape, names, expected):
    if expected is None:
        with pytest.raises(InputError, match="several ways"):
            interpret(shape, names)
    else:
        assert interpret(shape, names) == expected


def test_where_several_readings_are_possible_they_are_listed_in_words():
    with pytest.raises(InputError) as error:
        interpret((5, 40, 48))
    for reading in ("'TYX' (5 frames of 40x48 px)", "'CYX' (5 channels", "'ZYX' (5 slices"):
        assert reading in str(error.value)
    with pytest.raises(InputError) as error:
        interpret((5, 40, 48, 3), ("I", "Y", "X", "S"))  # as tifffile names pages that say nothing
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
def test_axes_that_cannot_be_are_refused(shape, names, reason):
    with pytest.raises(InputError, match=reason):
        interpret(shape, names)


@pytest.mark.parametrize(
    ("kernels", "groups", "sentence"),
    [
        ("one", (), "one kernel for all"),
        ("channel", (3,), "one kernel per channel (3)"),
        ("frame", (4,), "one kernel per frame (4)"),
        ("plane", (4, 3), "one kernel per plane (12)"),
    ],
)
def test_pieces_are_shared_out_among_the_kernels(kernels, groups, sentence):
    layout = make_layout((4, 3, 40, 48), "TCYX", kernels)
    assert layout.groups == groups
    assert layout.sentence == f"4 frames x 3 channels of 40x48 px, {sentence}"
    members = [index for group in np.ndindex(groups) for index in layout.members(group)]
    assert sorted(members) == list(np.ndindex(4, 3))
    for group in np.ndindex(groups):
        assert all(layout.group_of(index) == group for index in layout.members(group))


def test_volumes_are_counted_along_what_is_left():
    layout = make_layout((4, 7, 3, 40, 48), "TZCYX", "channel", "volume")
    assert (layout.looped, layout.pieces, layout.groups) == ("TC", (4, 3), (3,))
    assert layout.piece_shape == (7, 40, 48)
    assert "7x40x48 px" in layout.sentence


@pytest.mark.parametrize(
    ("axes", "shape", "depth", "piece"),
    [
        ("TCYX", (4, 3, 40, 48), "planes", (40, 48)),
        ("YXC", (40, 48, 3), "planes", (40, 48)),
        ("XTY", (48, 4, 40), "planes", (40, 48)),
        ("STYX", (3, 4, 40, 48), "planes", (40, 48, 3)),
        ("ZCYX", (7, 3, 40, 48), "volume", (7, 40, 48)),
        ("YXZ", (40, 48, 7), "volume", (7, 40, 48)),
    ],
)
def test_what_is_taken_and_put_back_is_the_array_again(axes, shape, depth, piece):
    layout = make_layout(shape, axes, depth=depth)
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
    ("axes", "request", "reason"),
    [
        ("TYX", {"kernels": "channel"}, "needs a C axis.*'frame'"),
        ("CYX", {"kernels": "frame"}, "needs a T axis.*'channel'"),
        ("TYX", {"kernels": "each"}, "one of one, channel"),
        ("TYX", {"depth": "volume"}, "no Z axis"),
        ("TYX", {"depth": "deep"}, "one of planes, volume"),
    ],
)
def test_requests_that_the_axes_do_not_have_are_refused(axes, request, reason):
    with pytest.raises(InputError, match=reason):
        make_layout((5, 40, 48), axes, **request)


def test_a_colour_volume_is_refused():
    with pytest.raises(InputError, match="split them"):
        make_layout((5, 40, 48, 3), "ZYXS", depth="volume")
