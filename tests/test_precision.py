import pytest
import torch

from napari_genprior.zoo.quantization import pack, unpack


def test_large_weights_of_images_take_a_byte_a_value_and_come_back_within_half_a_step():
    basis = torch.randn(5, 1000, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -4, 5)[:, None]
    stored = pack({"basis": basis, "mean": torch.rand(400)}, half=True, kernel=False)
    assert stored["basis"].dtype == torch.int8
    assert stored["mean"].dtype == torch.float16
    back = unpack(stored)
    assert set(back) == {"basis", "mean"}
    assert ((back["basis"] - basis).abs().amax(1) <= basis.abs().amax(1) / 253).all()


def test_a_row_of_zeros_stays_zero():
    assert not unpack(pack({"basis": torch.zeros(2, 4096)}, half=True, kernel=False))["basis"].any()


@pytest.mark.parametrize(("half", "kernel", "expected"), [(True, True, torch.float16), (False, False, torch.float32)])
def test_weights_of_kernels_and_full_precision_keep_their_floats(half, kernel, expected):
    basis = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    stored = pack({"basis": basis}, half=half, kernel=kernel)
    assert stored["basis"].dtype == expected
    assert torch.equal(unpack(stored)["basis"], basis.to(expected).float())


def test_values_beyond_float16_keep_float32_and_spectra_always():
    stored = pack({"large": torch.tensor([1e6]), "residual_spectrum": torch.tensor([1e-9])}, half=True, kernel=True)
    assert stored["large"].dtype == stored["residual_spectrum"].dtype == torch.float32


def test_eight_bits_without_their_step_are_refused():
    with pytest.raises(KeyError):
        unpack({"basis": torch.zeros(2, 9, dtype=torch.int8)})


def test_filters_have_a_step_for_each_output_channel():
    filters = (
        torch.randn(8, 64, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 9)[:, None, None, None]
    )
    stored = pack({"weight": filters, "bias": torch.ones(8)}, half=True, kernel=False)
    assert (stored["weight"].dtype, stored["weight.step"].shape) == (torch.int8, (8,))
    assert stored["bias"].dtype == torch.float16
    assert (
        (unpack(stored)["weight"] - filters).flatten(1).abs().amax(1) <= filters.flatten(1).abs().amax(1) / 253
    ).all()
