import pytest
import torch

from napari_genprior.zoo.precision import pack, unpack


def test_bases_of_pictures_take_a_byte_a_value_and_come_back_within_half_a_step():
    basis = torch.randn(5, 400, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -4, 5)[:, None]
    stored = pack({"basis": basis, "mean": torch.rand(400)}, half=True, kernel=False)
    assert stored["basis"].dtype == torch.int8
    assert stored["mean"].dtype == torch.float16
    back = unpack(stored)
    assert set(back) == {"basis", "mean"}
    assert ((back["basis"] - basis).abs().amax(1) <= basis.abs().amax(1) / 253).all()


def test_a_row_of_zeros_stays_zero():
    assert not unpack(pack({"basis": torch.zeros(2, 9)}, half=True, kernel=False))["basis"].any()


@pytest.mark.parametrize(("half", "kernel", "expected"), [(True, True, torch.float16), (False, False, torch.float32)])
def test_other_bases_keep_their_floats(half, kernel, expected):
    basis = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    stored = pack({"basis": basis}, half=half, kernel=kernel)
    assert stored["basis"].dtype == expected
    assert torch.equal(unpack(stored)["basis"], basis.to(expected).float())


def test_values_beyond_float16_keep_float32_and_spectra_always():
    stored = pack({"large": torch.tensor([1e6]), "residual_spectrum": torch.tensor([1e-9])}, half=True, kernel=True)
    assert stored["large"].dtype == stored["residual_spectrum"].dtype == torch.float32


def test_eight_bits_without_their_step_are_refused():
    with pytest.raises(KeyError):
        unpack({"basis": torch.zeros(2, 9, dtype=torch.int8)})
