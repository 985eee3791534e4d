"""Overlapping tiles: they cover, their weights sum to one, and what is solved in tiles is what is solved at once."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_genprior.core.arrays import out_of_memory
from napari_genprior.core.errors import DeviceError
from napari_genprior.pipeline.device_memory import Solves
from napari_genprior.pipeline.tiling import Mosaic, spans


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(32, 600), st.integers(0, 200), st.integers(1, 300))
def test_weights_sum_to_exactly_one(length, side, overlap, ramp):
    found = spans(length, side, overlap, ramp)
    total, counted = np.zeros(length, np.float32), np.zeros(length, int)
    for span in found:
        total[span.kept] += span.weight
        counted[span.kept] += 1
    assert (total == 1).all()
    assert counted.max() <= 2
    assert len({span.read.stop - span.read.start for span in found}) == 1
    assert found[0].read.start == 0
    assert found[-1].read.stop == length
    for before, after in pairwise(found):
        assert before.read.stop - before.kept.stop >= min(overlap, length - before.kept.stop)
        assert after.kept.start - after.read.start >= min(overlap, after.kept.start)


@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_mosaic_of_untouched_tiles_is_the_image(colours):
    image = np.random.default_rng(0).integers(0, 255, (211, 157, *colours)).astype(np.float32)
    rows, columns = spans(211, 40, 10, 16), spans(157, 60, 5, 30)
    mosaic, ready = Mosaic(rows, columns), []
    for row in rows:
        for column in columns:
            ready.append(mosaic.add(image[row.read, column.read]))
    assert [strip is not None for strip in ready] == ([False] * (len(columns) - 1) + [True]) * len(rows)
    np.testing.assert_array_equal(np.concatenate([strip for strip in ready if strip is not None]), image)


def test_out_of_memory_takes_fewer_at_once_and_then_the_cpu(caplog):
    solves = Solves(torch.device("meta"))  # stands for an accelerator
    tried = []

    def solve(planes, which):
        tried.append((planes.device.type, len(planes)))
        if planes.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return 2 * planes

    planes = torch.arange(5.0)[:, None, None, None].expand(5, 1, 8, 8)
    done = solves(solve, planes)
    torch.testing.assert_close(done, 2 * planes)
    assert tried == [("meta", 5), ("meta", 2), ("meta", 1)] + [("cpu", 1)] * 5
    assert solves.device.type == "cpu"
    assert "the CPU went on" in solves.notes[-1]
    assert [record.getMessage() for record in caplog.records] == solves.notes


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError, torch.cuda.OutOfMemoryError])
def test_out_of_memory_is_told_by_its_type_whatever_it_says(kind):
    assert out_of_memory(kind(""))
    assert not out_of_memory(RuntimeError("something else"))


def test_fewer_at_once_may_do():
    solves = Solves(torch.device("meta"))

    def solve(planes, which):
        if len(planes) > 2:
            raise RuntimeError("MPS backend out of memory (simulated)")
        return torch.full(planes.shape, float(which.start))

    done = solves(solve, torch.zeros(5, 1, 4, 4))
    assert done[:, 0, 0, 0].tolist() == [0, 0, 2, 2, 4]
    assert len(solves.notes) == 1
    assert solves.device.type == "meta"


def test_other_errors_are_not_swallowed():
    def fails(planes, which):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Solves(torch.device("cpu"))(fails, torch.zeros(1, 1, 4, 4))


def test_a_full_cpu_says_what_to_do():
    def fails(planes, which):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")

    with pytest.raises(DeviceError, match="tile="):
        Solves(torch.device("cpu"))(fails, torch.zeros(1, 1, 4, 4))
