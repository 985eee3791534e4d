"""Forward operators: bilinear, with exact adjoints."""

import pytest
import torch

from napari_genprior.operators.bilinear import Bilinear, Convolution, Pointwise
from napari_genprior.operators.convolution import BOUNDARIES


class Lookup(Bilinear):
    """A user's own operator that overrides nothing: y = (k summed over its pixels) * x turned by 90 degrees."""

    def __call__(self, kernel, image):
        return kernel.sum(dim=(-2, -1), keepdim=True) * image.rot90(dims=(-2, -1))


OPERATORS = {f"{b}-{kh}x{kw}": Convolution((kh, kw), (2, 11, 8), b) for b in BOUNDARIES for kh, kw in [(3, 5), (4, 1)]}
OPERATORS |= {
    f"{b}-{kz}x{kh}x{kw}": Convolution((kz, kh, kw), (2, 6, 7, 5), b)
    for b in BOUNDARIES
    for kz, kh, kw in [(3, 2, 3), (1, 5, 4)]
}
OPERATORS |= {
    "pointwise": Pointwise((2, 11, 8), (2, 11, 8)),
    "shading": Pointwise((1, 11, 8), (2, 11, 8)),
    "own": Lookup((1, 3, 3), (2, 11, 8)),
}


TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-12}


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_adjoints_are_exact_in_either_argument(operator, dtype):
    kernel, image = draw(3, *operator.kernel_shape, dtype=dtype), draw(3, *operator.image_shape, seed=1, dtype=dtype)
    model = operator(kernel, image)
    data = draw(*model.shape, seed=2, dtype=dtype)
    tolerance = TOLERANCES[dtype]
    for linear, argument in [(operator.fix_kernel(kernel), image), (operator.fix_image(image), kernel)]:
        transposed = linear.adjoint(data)
        assert transposed.shape == argument.shape
        torch.testing.assert_close(linear(argument), model)
        # per restart, so that no restart leaks into another
        there, back = (model * data).flatten(1).sum(1), (argument * transposed).flatten(1).sum(1)
        torch.testing.assert_close(there, back, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_linear_in_either_argument_and_differentiable_in_both(operator):
    kernel, image = draw(1, *operator.kernel_shape), draw(1, *operator.image_shape, seed=1)
    torch.testing.assert_close(operator(2 * kernel, image) + operator(kernel, image), operator(kernel, 3 * image))
    assert torch.autograd.gradcheck(operator, (kernel.requires_grad_(), image.requires_grad_()), fast_mode=True)


def test_adjoint_is_differentiable_in_the_fixed_argument():
    operator = Convolution((3, 3), (1, 6, 5), "valid")
    data = draw(1, 1, 4, 3)
    kernel = draw(1, 1, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: operator.fix_kernel(k).adjoint(data), kernel)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(3, 5), (4, 2), (2, 3, 4)])
def test_under_data_is_registered_with_the_data(boundary, shape):
    image = draw(1, 1, *(5, 12, 13)[-len(shape) :])
    operator = Convolution(shape, tuple(image.shape[1:]), boundary)
    point = torch.zeros(1, 1, *shape, dtype=torch.float64)
    point[(0, 0, *(side // 2 for side in shape))] = 1
    torch.testing.assert_close(operator(point, image), operator.under_data(image))


def test_one_kernel_is_shared_by_restarts_and_an_unknown_boundary_is_refused():
    operator = Convolution((3, 3), (2, 8, 8))
    assert operator(draw(1, 1, 3, 3), draw(4, 2, 8, 8)).shape == (4, 2, 8, 8)
    with pytest.raises(ValueError, match="circular, valid, reflect"):
        Convolution((3, 3), (1, 8, 8), "zero")
