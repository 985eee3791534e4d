"""Import weights: the Keras blur autoencoder of Asim 2020 (HDF5), and PyTorch state dicts of a PG-GAN.

Nothing is unpickled: HDF5 holds plain arrays, and PyTorch files are read by its weights-only loader.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import FileError, InputError, ModelError
from ..core.paths import exists, is_file
from .card import Card, ModelFields
from .validation import MAX_WEIGHTS_BYTES

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

# Keras layer -> index in our Sequential. The two dense layers of the Keras encoder are the halves of our one.
KERAS_DECODER = {"conv2d_transpose_1": 4, "conv2d_transpose_2": 7, "conv2d_transpose_3": 9}
KERAS_ENCODER = {"conv2d_1": 0, "conv2d_2": 3}
MAP_SHAPE = (20, 6, 6)  # channels, rows, columns between the dense and the convolutional layers


def import_prior(
    source: Path,
    name: str | None = None,
    *,
    licence_weights: str = "not stated; ask its authors",
    licence_data: str = "not stated",
    out_folder: Path | None = None,
) -> Card:
    """Convert a file of weights to a model in the user's folder (or ``out_folder``), and return its card.

    Parameters
    ----------
    source : Path
        ``.h5`` or ``.hdf5``: the blur autoencoder of Asim 2020 as its authors published it.
        ``.pt`` or ``.pth``: a state dict with the names of :class:`~napari_genprior.nets.pggan.PGGAN`.
    name : str, optional
        Name of the model; by default that of the file, in the letters that a card allows.
    licence_weights, licence_data : str
        Licences of weights and training data, as the card states them.
    out_folder : Path, optional

    Raises
    ------
    FileError
        The file is missing, or not of the type its suffix says.
    InputError
        The type cannot be imported, or a model of this name exists.
    ModelError
        The weights do not fit the architecture.
    """
    source = Path(source)
    if not is_file(source):
        raise FileError(f"There is no file {source}.")
    readers = {".h5": _from_keras, ".hdf5": _from_keras, ".pt": _from_torch, ".pth": _from_torch}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise InputError(f"{source} has type {source.suffix or '(none)'!r}; imported are {', '.join(readers)}.")
    net, about = reader(source)
    if name is None:
        name = re.sub(r"[^a-z0-9.-]+", "-", source.stem.lower()).strip("-.") or "imported"

    from .export import write_prior
    from .store import user_folder

    folder = out_folder or user_folder()
    if exists(folder / f"{name}.json"):
        raise InputError(f"There is a model {name} in {folder} already; choose another name by -o.")
    if out_folder is None:
        folder.mkdir(parents=True, exist_ok=True)
    return write_prior(
        net, folder, half=False, name=name, distribution="normal", output_range=(0.0, 1.0), metrics={},
        license_weights=licence_weights, license_data=licence_data, recipe=f"genprior models import {source.name}",
        **about,
    )  # fmt: skip


def _from_keras(path: Path) -> tuple[nn.Module, ModelFields]:
    """Read the blur autoencoder of Asim 2020; return the network and fields of its card."""
    from ..nets.vae import BlurVAE

    layers = _keras_layers(path)
    encoder = all(layer in layers for layer in (*KERAS_ENCODER, "dense_1", "dense_2"))
    missing = [layer for layer in ("dense_3", *KERAS_DECODER) if layer not in layers]
    if missing:
        raise ModelError(f"{path} is not the blur decoder: it lacks {', '.join(missing)}; it has {', '.join(layers)}.")
    latent = layers["dense_3"]["kernel:0"].shape[0]
    net = BlurVAE(latent, encoder=encoder)
    try:
        _load(net, _blur_state(layers, encoder, net.scale))
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} does not fit the blur autoencoder: {error}.") from error
    return net, {
        "kind": "kernel", "arch": "blur-vae", "arguments": {"latent": latent, "encoder": encoder}, "latent": latent,
        "channels": 1, "size": (28, 28), "data": "motion blurs of Asim 2020, length 5 to 28 px",
    }  # fmt: skip


def _keras_layers(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Read arrays by layer and name from data sets ``.../<layer>/<name>`` at any depth."""
    try:
        import h5py
    except ImportError as error:
        raise InputError('Reading HDF5 needs h5py: pip install "napari-genprior[train]".') from error
    layers: dict[str, dict[str, np.ndarray]] = {}
    bytes_left = MAX_WEIGHTS_BYTES  # an empty data set may declare any size

    def collect(location: str, item: Any) -> None:
        nonlocal bytes_left
        if isinstance(item, h5py.Dataset) and location.count("/"):
            bytes_left -= item.nbytes
            if bytes_left < 0 or item.external or item.is_virtual:  # external and virtual data lie in other files
                raise ModelError(f"{path}: {location} is larger than allowed, or lies in another file.")
            *_, layer, name = location.split("/")
            layers.setdefault(layer, {})[name] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)
    except OSError as error:
        raise FileError(f"{path} is not a readable HDF5 file ({error}).") from error
    return layers


def _blur_state(layers: dict[str, dict[str, np.ndarray]], encoder: bool, scale: float) -> dict[str, np.ndarray]:
    """Convert the arrays of Keras to the names and layouts of our network.

    Keras has channels last: convolutions have weights [y, x, in, out] (ours [out, in, y, x]), transposed ones
    [y, x, out, in] (ours [in, out, y, x]), and maps are flattened as [y, x, channel] (ours [channel, y, x]). Our
    network works on kernels scaled by ``scale``; as all activations are ReLU, that factor can be put into the first
    and the last layer.
    """
    import numpy as np

    channels, rows, columns = MAP_SHAPE
    channel_first = np.arange(rows * columns * channels).reshape(rows, columns, channels).transpose(2, 0, 1).ravel()
    dense = layers["dense_3"]
    state = {"decoder.0.weight": dense["kernel:0"].T[channel_first], "decoder.0.bias": dense["bias:0"][channel_first]}
    for layer, index in KERAS_DECODER.items():
        factor = scale if layer == "conv2d_transpose_3" else 1.0
        state[f"decoder.{index}.weight"] = factor * layers[layer]["kernel:0"].transpose(3, 2, 0, 1)
        state[f"decoder.{index}.bias"] = factor * layers[layer]["bias:0"]
    if encoder:
        for layer, index in KERAS_ENCODER.items():
            factor = 1 / scale if layer == "conv2d_1" else 1.0
            state[f"encoder.{index}.weight"] = factor * layers[layer]["kernel:0"].transpose(3, 2, 0, 1)
            state[f"encoder.{index}.bias"] = layers[layer]["bias:0"]
        halves = [layers["dense_1"], layers["dense_2"]]  # mean, log variance
        state["encoder.7.weight"] = np.concatenate([half["kernel:0"].T[:, channel_first] for half in halves])
        state["encoder.7.bias"] = np.concatenate([half["bias:0"] for half in halves])
    return state


def _load(net: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Load arrays into a network; raises ValueError where shapes differ."""
    import numpy as np
    import torch

    try:
        net.load_state_dict({key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()})
    except RuntimeError as error:  # shapes
        raise ValueError(str(error).splitlines()[-1].strip()) from error


def _from_torch(path: Path) -> tuple[nn.Module, ModelFields]:
    """Read a state dict of a PG-GAN; return the network and fields of its card."""
    import torch

    from ..nets.pggan import PGGAN

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            _check_size(path, sum(part.file_size for part in parts.infolist()))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler has many errors; it executes nothing that it refuses
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(f"{path} is not a PyTorch file of plain weights ({reason}).") from error
    try:
        # a tensor may be one broadcast value: the memory of a network of these shapes is checked
        _check_size(path, 4 * sum(value.numel() for value in state.values()))
        widths = [state[f"colours.{stage}.weight"].shape[1] for stage in range(len(_stages(state)))]
        latent, colours = state["start.weight"].shape[1], state["colours.0.weight"].shape[0]
        size = 4 * 2 ** (len(widths) - 1)
        # the channels of all stages follow from these two: 2 base / side, at most `largest`
        arguments = {
            "latent": latent, "channels": colours, "size": size, "base": widths[-1] * size // 2, "largest": max(widths),
        }  # fmt: skip
        net = PGGAN(**arguments)
        net.load_state_dict(state)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a state dict of our PG-GAN (names as in nets/pggan.py: start, blocks.N.M, colours.N): "
            f"{str(error).splitlines()[-1].strip()}."
        ) from error
    return net, {
        "kind": "image", "arch": "pggan", "arguments": arguments, "latent": latent, "channels": colours,
        "size": (size, size), "data": "not stated",
    }  # fmt: skip


def _check_size(path: Path, size: int) -> None:
    """Refuse weights that need more bytes than allowed."""
    if size > MAX_WEIGHTS_BYTES:
        raise ModelError(f"{path} declares weights of {size} bytes; at most {MAX_WEIGHTS_BYTES} are allowed.")


def _stages(state: dict[str, Any]) -> list[str]:
    """List the weights of the convolutions to colours, one for each resolution; raises KeyError without any."""
    stages = [key for key in state if re.fullmatch(r"colours\.\d+\.weight", key)]
    if not stages:
        raise KeyError("there are no colours.N.weight")
    return stages
