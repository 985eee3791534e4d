"""Architectures: sizes, ranges, and influence of every weight."""

import pytest
import torch

from napari_genprior.nets.mlp import KernelMLP
from napari_genprior.nets.skip import SkipNetwork, fitting_depth


@pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 50), (101, 33), (8, 13)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_skip_network_keeps_any_size_and_stays_in_range(height, width, outputs):
    depth = fitting_depth((height, width), 5)
    network = SkipNetwork(outputs, inputs=4, channels=8, skip_channels=2, depth=depth)
    image = network(torch.rand(2, 4, height, width))
    assert image.shape == (2, outputs, height, width)
    assert image.min() > 0
    assert image.max() < 1
    image.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_skip_network_treats_each_image_by_itself():
    network = SkipNetwork(1, inputs=4, channels=8, depth=2)
    codes = torch.rand(2, 4, 24, 24)
    torch.testing.assert_close(network(codes)[:1], network(codes[:1]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("side", "depth"), [(8, 1), (13, 2), (16, 2), (64, 4), (113, 5), (255, 5)])
def test_fitting_depth_leaves_four_pixels(side, depth):
    assert fitting_depth((side, 500), 5) == depth
    for _ in range(depth):
        side = (side + 1) // 2
    assert side >= 4


def test_kernel_mlp_makes_kernels():
    kernel = KernelMLP((5, 7), inputs=20, hidden=30)(torch.rand(3, 20))
    assert kernel.shape == (3, 1, 5, 7)
    assert kernel.min() >= 0
    torch.testing.assert_close(kernel.sum(dim=(1, 2, 3)), torch.ones(3))
