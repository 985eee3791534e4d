"""Imported weights: right layouts, and clear messages for other files."""

import numpy as np
import pytest
import torch

import napari_genprior as gp
from napari_genprior.cli import main
from napari_genprior.core.errors import FileError, InputError, ModelError
from napari_genprior.nets.pggan import PGGAN
from napari_genprior.zoo.weight_import import import_prior

h5py = pytest.importorskip("h5py")


def keras_file(path, encoder=True, seed=0):
    """Write a file of the authors' layout with random weights, and return its arrays."""
    rng = np.random.default_rng(seed)
    shapes = {
        "dense_3": (50, 720),
        "conv2d_transpose_1": (2, 2, 20, 20),
        "conv2d_transpose_2": (2, 2, 20, 20),
        "conv2d_transpose_3": (2, 2, 1, 20),
    }
    if encoder:
        shapes |= {"conv2d_1": (2, 2, 1, 20), "conv2d_2": (2, 2, 20, 20), "dense_1": (720, 50), "dense_2": (720, 50)}
    layers = {}
    with h5py.File(path, "w") as file:
        for layer, shape in shapes.items():
            outputs = shape[2] if "transpose" in layer else shape[-1]
            kernel, bias = 0.2 * rng.standard_normal(shape), 0.1 * rng.standard_normal(outputs)
            layers[layer] = (kernel, bias)
            file[f"{layer}/{layer}/kernel:0"] = kernel.astype(np.float32)
            file[f"{layer}/{layer}/bias:0"] = bias.astype(np.float32)
    return layers


def keras_decoder(layers, z):
    """Evaluate the authors' decoder in plain numpy, channels last, as Keras documents its layers."""

    def transposed(x, kernel, bias):
        height, width = x.shape[:2]
        out = np.zeros((height + 1, width + 1, kernel.shape[2]))
        for dy in range(2):
            for dx in range(2):
                out[dy : dy + height, dx : dx + width] += x @ kernel[dy, dx].T
        return np.maximum(out + bias, 0)

    kernel, bias = layers["dense_3"]
    x = np.maximum(z @ kernel + bias, 0).reshape(6, 6, 20)
    for layer in (1, 2, 3):
        if layer < 3:
            x = x.repeat(2, 0).repeat(2, 1)
        x = transposed(x, *layers[f"conv2d_transpose_{layer}"])
    return x[..., 0]


@pytest.mark.parametrize("encoder", [True, False])
def test_a_keras_decoder_decodes_as_keras_would(tmp_path, encoder):
    layers = keras_file(tmp_path / "blur.h5", encoder)
    card = import_prior(tmp_path / "blur.h5", out_folder=tmp_path, licence_weights="MIT")
    assert (card.name, card.kind, card.arch, card.latent, card.license_weights) == (
        "blur",
        "kernel",
        "blur-vae",
        50,
        "MIT",
    )
    prior = gp.load_prior(tmp_path / "blur.json")
    z = np.random.default_rng(1).standard_normal(50)
    raw = prior.net.raw(torch.from_numpy(z).float()[None])[0, 0].numpy()
    np.testing.assert_allclose(raw, keras_decoder(layers, z), atol=1e-4)
    assert (prior.net.encoder is not None) == encoder


def test_the_authors_blur_decoder_makes_plausible_kernels(shared, tmp_path):
    file = shared / "data" / "asim_blur_vae" / "motionblur.h5"
    import_prior(file, "authors", out_folder=tmp_path)
    net = gp.load_prior(tmp_path / "authors.json").net
    z = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))
    sums = net.raw(z).sum(dim=(1, 2, 3))
    assert 0.95 < sums.mean() < 1.06
    assert sums.std() < 0.1
    true = np.load(shared / "data" / "asim_table5" / "svhn.npz")["w_true"]
    kernels = torch.from_numpy(true).float()[:, None]
    error = (net(net.encode(kernels)[0]) - kernels).flatten(1).norm(dim=1) / kernels.flatten(1).norm(dim=1)
    assert error.mean() == pytest.approx(0.23, abs=0.02)  # as measured in Keras on all 100 of them


def test_a_pg_gan_state_dict_is_imported_with_its_sizes(tmp_path):
    net = PGGAN(latent=9, channels=1, size=16, base=64, largest=16)
    torch.save(net.state_dict(), tmp_path / "My GAN.pth")
    card = import_prior(tmp_path / "My GAN.pth", out_folder=tmp_path)
    assert (card.name, card.latent, card.size, card.channels) == ("my-gan", 9, (16, 16), 1)
    z = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gp.load_prior(tmp_path / "my-gan.json").decode(z), net(z).detach())


def test_files_that_cannot_be_imported_are_named(tmp_path):
    with pytest.raises(FileError, match="no file"):
        import_prior(tmp_path / "none.h5")
    (tmp_path / "w.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"imported are \.h5"):
        import_prior(tmp_path / "w.onnx")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FileError, match="HDF5"):
        import_prior(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense_1/dense_1/kernel:0"] = np.zeros((3, 3))
    with pytest.raises(ModelError, match="lacks dense_3"):
        import_prior(tmp_path / "other.h5", out_folder=tmp_path)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="PG-GAN"):
        import_prior(tmp_path / "other.pt", out_folder=tmp_path)
    torch.save(PGGAN, tmp_path / "code.pt")  # a class: unpickling it could run code
    with pytest.raises(FileError, match="plain weights"):
        import_prior(tmp_path / "code.pt", out_folder=tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_wrong_shapes_are_named_and_names_are_not_taken_twice(tmp_path):
    keras_file(tmp_path / "blur.h5")
    with h5py.File(tmp_path / "blur.h5", "r+") as file:
        del file["conv2d_transpose_2"]
        file["conv2d_transpose_2/conv2d_transpose_2/kernel:0"] = np.zeros((3, 3, 20, 20), np.float32)
        file["conv2d_transpose_2/conv2d_transpose_2/bias:0"] = np.zeros(20, np.float32)
    with pytest.raises(ModelError, match="does not fit"):
        import_prior(tmp_path / "blur.h5", out_folder=tmp_path)
    keras_file(tmp_path / "good.h5")
    import_prior(tmp_path / "good.h5", out_folder=tmp_path)
    with pytest.raises(InputError, match="already"):
        import_prior(tmp_path / "good.h5", out_folder=tmp_path)


def test_the_command_imports_and_describes_the_model(tmp_path, capsys):
    keras_file(tmp_path / "blur.h5")
    assert main(["models", "import", str(tmp_path / "blur.h5"), "-o", "theirs", "--out-folder", str(tmp_path)]) == 0
    assert "theirs: kernel, blur-vae, 28x28x1, latent 50." in capsys.readouterr().out
    assert main(["models", "import", str(tmp_path / "none.h5")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
