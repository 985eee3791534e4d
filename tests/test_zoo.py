"""Pretrained priors: shipped ones work, damaged ones are refused with a reason."""

import hashlib
import json
from typing import get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

import napari_genprior as gp
from napari_genprior import blur
from napari_genprior.core.errors import ModelError
from napari_genprior.nets.linear_gaussian import fit
from napari_genprior.zoo import store
from napari_genprior.zoo.card import Card, CardFields


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Copy a shipped model to a folder of its own; the returned function rewrites its card and weights."""
    source = next(folder for folder in store.folders() if (folder / "motion-28-linear.json").exists())
    card = json.loads((source / "motion-28-linear.json").read_text())
    tensors = load_file(source / "motion-28-linear.safetensors")

    def write(content: bytes | None = None, rehash: bool = True, **changes):
        body = save(tensors) if content is None else content
        (tmp_path / "m.safetensors").write_bytes(body)
        changed = {**card, "sha256": hashlib.sha256(body).hexdigest() if rehash else card["sha256"], **changes}
        (tmp_path / "m.json").write_text(json.dumps(changed))
        return tmp_path / "m.json"

    write.tensors = tensors
    return write


def test_the_typed_fields_are_those_of_a_card():
    assert get_type_hints(CardFields).keys() == Card.model_fields.keys() - {"sha256"}


@pytest.mark.slow
def test_every_shipped_prior_loads_and_decodes_as_its_card_declares():
    cards = gp.list_priors()
    assert "motion-28-linear" in [card.name for card in cards]
    for card in cards:
        prior = gp.load_prior(card.name)
        decoded = prior.decode(torch.randn(3, card.latent, generator=torch.Generator().manual_seed(0)))
        assert decoded.shape == (3, card.channels, *card.size)
        assert torch.isfinite(decoded).all()
        if card.kind == "kernel":
            assert (decoded >= 0).all()
            torch.testing.assert_close(decoded.flatten(1).sum(1), torch.ones(3))
        assert card.license_weights
        assert card.license_data


def test_the_kernel_prior_represents_camera_shake_better_than_noise():
    net = gp.load_prior("motion-28-linear").net
    shake = torch.from_numpy(blur.shake(18, 12345, 28)).flatten()
    noise = shake[torch.randperm(784, generator=torch.Generator().manual_seed(0))]

    def distance(kernel):
        z = torch.linalg.lstsq(net.basis.T, (kernel - net.mean)[:, None]).solution.T
        return float((net(z).flatten() - kernel).norm() / kernel.norm())

    assert distance(shake) < 0.6 * distance(noise)


def test_linear_fit_recovers_a_linear_world_exactly():
    rng = torch.Generator().manual_seed(0)
    basis, mean = torch.randn(4, 36, generator=rng), torch.randn(36, generator=rng)
    images = (mean + torch.randn(500, 4, generator=rng) @ basis).view(500, 1, 6, 6)
    net = fit(images, latent=4)
    fresh = mean + torch.randn(1, 4, generator=rng) @ basis
    z = torch.linalg.lstsq(net.basis.T, (fresh - net.mean).T).solution.T
    torch.testing.assert_close(net(z).flatten(1), fresh, atol=1e-3, rtol=1e-3)


def test_a_copy_loads_from_its_path(copied):
    assert gp.load_prior(copied()).card.latent == 50


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": b"", "rehash": False}, "SHA-256 differs"),
        ({"content": b"PK\x03\x04 not safetensors"}, "do not fit"),
        ({"arch": "transformer-9000"}, "Unknown architecture"),
        ({"latent": 49}, "its card declares"),
        ({"size": [14, 56]}, "its card declares"),
        ({"size": [100000, 100000]}, "allowed are"),
        ({"arguments": {"latent": 50, "colour": 3}}, "does not take"),
        ({"surprise": 1}, "surprise"),
        ({"license_data": ""}, "license_data"),
        ({"name": "../../etc"}, "name"),
    ],
)
def test_false_cards_and_damaged_weights_are_refused(copied, changes, words):
    with pytest.raises(ModelError, match=words):
        gp.load_prior(copied(**changes))


def test_truncated_and_nan_weights_are_refused(copied):
    body = save(copied.tensors)
    with pytest.raises(ModelError, match="do not fit"):
        gp.load_prior(copied(content=body[: len(body) // 2]))
    broken = {**copied.tensors, "mean": copied.tensors["mean"] * np.nan}
    with pytest.raises(ModelError, match="NaN"):
        gp.load_prior(copied(content=save(broken)))


def test_missing_weights_and_unknown_names_are_named(copied, tmp_path):
    path = copied()
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        gp.load_prior(path)
    with pytest.raises(ModelError, match="motion-28-linear"):
        gp.load_prior("motion-29")
    with pytest.raises(ModelError, match="cannot be read"):
        gp.load_prior(tmp_path / "none.json")


def test_the_users_own_model_is_found(copied, tmp_path, monkeypatch):
    copied(name="mine")
    (tmp_path / "m.json").rename(tmp_path / "mine.json")
    (tmp_path / "m.safetensors").rename(tmp_path / "mine.safetensors")
    shipped = store.folders()[1]
    monkeypatch.setattr(store, "folders", lambda: [tmp_path, shipped])
    names = [card.name for card in gp.list_priors()]
    assert names[0] == "mine"
    assert "motion-28-linear" in names
    assert gp.load_prior("mine").card.name == "mine"


def test_a_latent_of_the_wrong_length_is_refused():
    with pytest.raises(ModelError, match=r"\[R, 50\]"):
        gp.load_prior("motion-28-linear").decode(torch.zeros(1, 3))
