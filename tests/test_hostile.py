"""Untrusted models: they run no code, read nothing outside their folder, and need little more memory than they have."""

import hashlib
import io
import json
import os
import pickle
import resource
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

import napari_genprior as gp
from images import blocks
from napari_genprior.core.errors import FileError, GenPriorError, ModelError
from napari_genprior.core.image_io import read_image
from napari_genprior.pipeline.plan import make_plan
from napari_genprior.zoo import initializers as proposals
from napari_genprior.zoo import restorers, store
from napari_genprior.zoo import validation as untrusted
from napari_genprior.zoo.card import MAX_CARD_BYTES, read_card
from napari_genprior.zoo.denoisers import load_denoiser
from napari_genprior.zoo.registry import build
from napari_genprior.zoo.weight_import import import_prior

SHIPPED = store.folders()[1]
MEMORY_LIMIT = 200 * 2**20  # bytes; the models here have about 100 KiB


@pytest.fixture
def model(tmp_path):
    """Write a good model to a folder of its own; the returned function rewrites it with other weights or card."""
    card = json.loads((SHIPPED / "motion-28-linear.json").read_text())
    good = (SHIPPED / "motion-28-linear.safetensors").read_bytes()

    def write(content: bytes = good, **changes) -> Path:
        path = tmp_path / "stranger.json"
        path.with_suffix(".safetensors").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        path.write_text(json.dumps(card | {"name": "stranger", "sha256": digest} | changes))
        return path

    assert gp.load_prior(write()).card.name == "stranger"
    return write


@pytest.fixture
def little_memory():
    """Fail where far more memory was used than these files have."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_LIMIT // 1024


class Boom:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def safetensors(header: dict | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def disguised(tmp_path: Path) -> dict[str, bytes]:
    pickled, torch_file, zipped, npz = (io.BytesIO() for _ in range(4))
    pickle.dump({"mean": Boom(tmp_path / "ran")}, pickled)
    torch.save({"mean": Boom(tmp_path / "ran")}, torch_file)
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("../../ran", "out of its folder")
    np.savez(npz, mean=np.array([Boom(tmp_path / "ran")], dtype=object))
    tensor = {"dtype": "F32", "shape": [784], "data_offsets": [0, 3136]}
    return {
        "pickle": pickled.getvalue(),
        "torch file": torch_file.getvalue(),
        "zip": zipped.getvalue(),
        "npz": npz.getvalue(),
        "nothing": b"",
        "seven bytes": b"\x01" * 7,
        "header longer than the file": struct.pack("<Q", 2**62) + b"{}",
        "header of 100 MB": struct.pack("<Q", 10**8) + b"{}",
        "header that is no JSON": safetensors(b"{" * 50),
        "deep header": safetensors(b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
        "huge shape": safetensors({"mean": tensor | {"shape": [2**40]}}, bytes(3136)),
        "shape beyond 64 bits": safetensors({"mean": tensor | {"shape": [2**63, 2**63]}}, bytes(3136)),
        "offsets outside": safetensors({"mean": tensor | {"data_offsets": [0, 2**40]}}, bytes(3136)),
        "offsets reversed": safetensors({"mean": tensor | {"data_offsets": [3136, 0]}}, bytes(3136)),
        "negative shape": safetensors({"mean": tensor | {"shape": [-784]}}, bytes(3136)),
        "unknown type": safetensors({"mean": tensor | {"dtype": "O"}}, bytes(3136)),
        "empty and endless": safetensors({"mean": tensor | {"shape": [0, 2**60], "data_offsets": [0, 0]}}),
    }


@pytest.mark.parametrize("kind", disguised(Path("unused")))
def test_other_files_than_safetensors_are_refused_and_never_run(model, tmp_path, little_memory, kind):
    path = model(disguised(tmp_path)[kind])
    with pytest.raises(ModelError, match="do not fit"):
        gp.load_prior(path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path.parents[1] / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../../../etc/passwd"}, "name"),
        ({"name": "/etc/passwd"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"size": [65536, 65536]}, "allowed are"),
        ({"size": [10**30, 1]}, "allowed are"),
        ({"size": [-28, -28]}, "allowed are"),
        ({"latent": 10**12}, "latent"),
        ({"channels": 10**9}, "channels"),
        ({"arguments": {"latent": 50, "channels": 1, "height": 60_000, "width": 60_000}}, "do not fit"),
        ({"arguments": {"latent": 2**24, "channels": 2**24, "height": 2**24, "width": 2**24}}, "fit|does not take"),
        ({"arguments": {"latent": 10**400}}, "arguments"),
        ({"arguments": {"latent": -1}}, "arguments"),
        ({"arguments": {"latent": [[[1]]]}}, "arguments"),
        ({"arguments": {"__class__": 1}}, "does not take"),
        ({"arch": "os.system"}, "Unknown architecture"),
        ({"arch": "__import__"}, "Unknown architecture"),
        ({"arch": "vae", "arguments": {"latent": 50, "size": 2**24, "width": 2**24}}, "do not fit|does not take"),
        ({"arch": "pggan", "arguments": {"size": 2**24, "base": 2**24, "largest": 2**24}}, "do not fit|does not take"),
        ({"arch": "dcgan", "arguments": {"width": 2**20}}, "do not fit|does not take"),
        (
            {"arch": "restorer", "arguments": {"blocks": 2**24}, "kind": "restorer", "latent": 0},
            "restoration network|blocks",
        ),
        ({"output_range": [0, float("nan")]}, "output_range"),
        ({"metrics": {"psnr": float("inf")}}, "metrics"),
        ({"data": "\x1b]0;title\x07\x1b[2J"}, "control characters"),
        ({"recipe": "x" * 10_000}, "recipe"),
        ({"sha256": "0" * 64}, "SHA-256 differs"),
    ],
)
def test_false_cards_are_refused_before_memory_is_allocated(model, little_memory, changes, words):
    with pytest.raises(ModelError, match=words):
        gp.load_prior(model(**changes))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"arguments": ' * 5000 + "1" + "}" * 5000,
        " " * (MAX_CARD_BYTES + 1),
        '{"name": "a", "name": "b"}',
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "NaN",
        "",
    ],
    ids=["deep list", "deep object", "too large", "twice", "no text", "no JSON", "empty"],
)
def test_invalid_cards_are_refused(model, little_memory, text):
    path = model()
    path.write_text(text)
    with pytest.raises(ModelError):
        gp.load_prior(path)


def test_a_card_of_a_gigabyte_is_not_read(model, little_memory):
    path = model()
    os.truncate(path, 2**30)
    with pytest.raises(ModelError, match="at most"):
        read_card(path)


def test_weights_larger_than_allowed_are_not_read(model, little_memory):
    path = model()
    os.truncate(path.with_suffix(".safetensors"), untrusted.MAX_WEIGHTS_BYTES + 1)
    tracemalloc.start()
    with pytest.raises(ModelError, match="at most"):
        gp.load_prior(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("part", [".json", ".safetensors"])
def test_links_out_of_the_folder_are_refused(model, tmp_path, part):
    path = model()
    outside = tmp_path.parent / f"{tmp_path.name}-outside{part}"
    path.with_suffix(part).rename(outside)
    path.with_suffix(part).symlink_to(outside)
    with pytest.raises(ModelError, match="link to another folder"):
        gp.load_prior(path)


def test_circular_links_and_pipes_are_refused(model):
    path = model()
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ModelError, match="cannot be read"):
        gp.load_prior(path)
    path = path.with_name("pipe.json")
    os.mkfifo(path)
    with pytest.raises(ModelError, match="not a regular file"):  # reading it would wait forever
        gp.load_prior(path)


@pytest.mark.parametrize(
    "name", ["../stranger", "..", "", "\0", "a/b", "x" * 10_000, "\0.json", "x" * 10_000 + ".json"]
)
def test_names_reach_nothing_outside_the_folders(model, tmp_path, monkeypatch, name):
    model()
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.setattr(store, "folders", lambda: [inner])
    with pytest.raises(ModelError):
        gp.load_prior(name)
    if not name.endswith(".json"):
        with pytest.raises(GenPriorError):
            make_plan(np.random.default_rng(0).random((28, 28)), "project", image_prior=name)


def test_steps_of_another_shape_are_not_broadcast(model, little_memory):
    tensors = load_file(SHIPPED / "faces-64-linear.safetensors")
    card = json.loads((SHIPPED / "faces-64-linear.json").read_text())
    tensors["basis"] = torch.ones(1, 200_000, dtype=torch.int8)
    tensors["basis.step"] = torch.ones(200_000)
    with pytest.raises(ModelError, match="one step per row"):
        gp.load_prior(model(save(tensors), arguments=card["arguments"], size=card["size"], channels=3))


def test_a_small_file_that_decodes_by_way_of_a_huge_image_is_refused(model, monkeypatch):
    net = {"arch": "vae", "arguments": {"latent": 1, "channels": 1, "size": 4096, "width": 1, "encoder": False}}
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build(**net).state_dict().items()}
    content = save({name: torch.zeros(shape) for name, shape in shapes.items()})
    monster = net | {"latent": 1, "channels": 1, "size": [4096, 4096], "kind": "image"}
    monkeypatch.setattr(untrusted, "MAX_LAYER_VALUES", 2**20)
    with pytest.raises(ModelError, match="by way of"):
        gp.load_prior(model(content, **monster))


def test_a_bad_card_does_not_affect_other_models(model, tmp_path, monkeypatch, caplog):
    model(name="not-its-file")
    (tmp_path / "junk.json").write_text("{")
    monkeypatch.setattr(store, "folders", lambda: [tmp_path, SHIPPED])
    cards = gp.list_priors()
    assert "motion-28-linear" in [card.name for card in cards]
    assert "not-its-file" not in [card.name for card in cards]
    assert "junk.json" in caplog.text
    assert "called as its file is" in caplog.text
    image, kernel = (store.read_card(SHIPPED / f"{name}.json") for name in ("digits-28", "motion-28"))
    assert proposals.find_initializer(image, kernel) is not None
    assert restorers.find_restorer(torch.device("cpu")) is not None


def test_nan_in_weights_is_refused(model):
    tensors = load_file(SHIPPED / "motion-28-linear.safetensors")
    tensors["basis"][0, 0] = torch.nan
    with pytest.raises(ModelError, match="NaN"):
        gp.load_prior(model(save(tensors)))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_imported_files_are_not_unpickled(tmp_path):
    torch.save({"start.weight": Boom(tmp_path / "ran")}, tmp_path / "evil.pt")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Boom(tmp_path / "ran")))
    for name in ("evil.pt", "evil.pth"):
        with pytest.raises(FileError, match="plain weights"):
            import_prior(tmp_path / name, out_folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pt", "evil.pth"]


def test_imported_files_that_declare_more_than_they_hold_are_refused(tmp_path, little_memory):
    one = torch.zeros(1)
    huge = {"start.weight": one.expand(2**17, 2**17, 4, 4), "colours.0.weight": one.expand(3, 2**17, 1, 1)}
    torch.save(huge, tmp_path / "huge.pt")
    with pytest.raises(ModelError, match="at most"):
        import_prior(tmp_path / "huge.pt", out_folder=tmp_path)
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("dense_3/dense_3/kernel:0", shape=(2**20, 2**20), chunks=(64, 64), dtype="f4")
    with pytest.raises(ModelError, match="larger than allowed"):
        import_prior(tmp_path / "huge.h5", out_folder=tmp_path)


def test_imported_files_do_not_read_others(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4000))
    with h5py.File(tmp_path / "reads.h5", "w") as file:
        file.create_dataset(
            "dense_3/dense_3/kernel:0", shape=(1000,), dtype="f4", external=[(str(tmp_path / "secret"), 0, 4000)]
        )
    with pytest.raises(ModelError, match="another file"):
        import_prior(tmp_path / "reads.h5", out_folder=tmp_path)


def test_a_denoiser_with_too_many_blocks_is_refused(model, little_memory):
    path = model(kind="denoiser", arch="denoiser", latent=0, arguments={"blocks": 2**24})
    with pytest.raises(ModelError, match="0 to 16 blocks"):
        load_denoiser(Path(path), torch.device("cpu"))


def test_a_restorer_of_another_architecture_is_refused(model, tmp_path, monkeypatch):
    model(kind="restorer", latent=0)
    monkeypatch.setattr(store, "folders", lambda: [tmp_path])
    with pytest.raises(ModelError, match="called a restorer"):
        gp.known_kernel(blocks(32, 32), np.ones((3, 3)), settings={"deconvolution": "network"})


def huge_images() -> dict[str, bytes]:
    """Make small files that declare terabytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    header = struct.pack(">IIBBBBB", 2**20, 2**20, 16, 2, 0, 0, 0)
    ihdr = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + bytes(900)
    tags = [(256, 4, 1, 2**24), (257, 4, 1, 2**24), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, 2**24), (279, 4, 1, 100)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(900)
    return {"a.npy": buffer.getvalue() + bytes(900), "a.png": png, "a.tif": tiff}


@pytest.mark.parametrize("name", ["a.npy", "a.png", "a.tif"])
def test_images_that_declare_terabytes_are_refused(tmp_path, little_memory, name):
    (tmp_path / name).write_bytes(huge_images()[name])
    with pytest.raises(FileError, match="declares some"):
        read_image(tmp_path / name)
