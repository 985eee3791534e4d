"""Overlapping tiles cover an image, their weights sum to one, and batches on a device adapt to its memory."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_genprior.core.arrays import out_of_memory
from napari_genprior.core.errors import DeviceError
from napari_genprior.pipeline.device_memory import AdaptiveBatcher
from napari_genprior.pipeline.tiling import Mosaic, cover


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(32, 600), st.integers(0, 200), st.integers(1, 300))
def test_weights_sum_to_exactly_one(length, side, overlap, ramp):
    spans = cover(length, side, overlap, ramp)
    total, counted = np.zeros(length, np.float32), np.zeros(length, int)
    for span in spans:
        total[span.kept] += span.weight
        counted[span.kept] += 1
    assert (total == 1).all()
    assert counted.max() <= 2
    assert len({span.read.stop - span.read.start for span in spans}) == 1
    assert spans[0].read.start == 0
    assert spans[-1].read.stop == length
    for before, after in pairwise(spans):
        assert before.read.stop - before.kept.stop >= min(overlap, length - before.kept.stop)
        assert after.kept.start - after.read.start >= min(overlap, after.kept.start)


@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_mosaic_of_untouched_tiles_is_the_image(colours):
    image = np.random.default_rng(0).integers(0, 255, (211, 157, *colours)).astype(np.float32)
    rows, columns = cover(211, 40, 10, 16), cover(157, 60, 5, 30)
    mosaic, ready = Mosaic(rows, columns), []
    for row in rows:
        for column in columns:
            ready.append(mosaic.add(image[row.read, column.read]))
    assert [strip is not None for strip in ready] == ([False] * (len(columns) - 1) + [True]) * len(rows)
    np.testing.assert_array_equal(np.concatenate([strip for strip in ready if strip is not None]), image)


def test_out_of_memory_takes_fewer_at_once_and_then_the_cpu(caplog):
    batcher = AdaptiveBatcher(torch.device("meta"))  # stands for an accelerator
    tried = []

    def solve(planes, which):
        tried.append((planes.device.type, len(planes)))
        if planes.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return 2 * planes

    planes = torch.arange(5.0)[:, None, None, None].expand(5, 1, 8, 8)
    done = batcher(solve, planes)
    torch.testing.assert_close(done, 2 * planes)
    assert tried == [("meta", 5), ("meta", 2), ("meta", 1)] + [("cpu", 1)] * 5
    assert batcher.device.type == "cpu"
    assert "the CPU took over" in batcher.notes[-1]
    assert [record.getMessage() for record in caplog.records] == batcher.notes


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError, torch.cuda.OutOfMemoryError])
def test_out_of_memory_is_recognized_by_its_type_whatever_its_message(kind):
    assert out_of_memory(kind(""))
    assert not out_of_memory(RuntimeError("something else"))


def test_fewer_at_once_may_do():
    batcher = AdaptiveBatcher(torch.device("meta"))

    def solve(planes, which):
        if len(planes) > 2:
            raise RuntimeError("MPS backend out of memory (simulated)")
        return torch.full(planes.shape, float(which.start))

    done = batcher(solve, torch.zeros(5, 1, 4, 4))
    assert done[:, 0, 0, 0].tolist() == [0, 0, 2, 2, 4]
    assert len(batcher.notes) == 1
    assert batcher.device.type == "meta"


def test_other_errors_are_not_swallowed():
    def fails(planes, which):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        AdaptiveBatcher(torch.device("cpu"))(fails, torch.zeros(1, 1, 4, 4))


def test_a_full_cpu_says_what_to_do():
    def fails(planes, which):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")

    with pytest.raises(DeviceError, match="tile_size="):
        AdaptiveBatcher(torch.device("cpu"))(fails, torch.zeros(1, 1, 4, 4))
