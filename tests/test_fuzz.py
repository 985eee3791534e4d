"""Bad input at scale: whatever comes in, a result or one clear sentence comes out; no traceback, no warning, no hang.

With ``CI=true`` (and under ``GENPRIOR_SLOW``) these are more than 20,000 cases, always the same; else a fiftieth.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import string
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import napari_genprior as gp
from images import blocks
from napari_genprior import settings as all_settings
from napari_genprior.cli import main
from napari_genprior.cli.rerun import RECORDED, read_report
from napari_genprior.core import image_io as io
from napari_genprior.core.axes import make_layout
from napari_genprior.core.checks import check_image, check_kernel
from napari_genprior.core.errors import GenPriorError, InputError
from napari_genprior.methods.registry import METHODS
from napari_genprior.pipeline import plan as planning
from napari_genprior.pipeline import request_export as requests
from napari_genprior.pipeline.observe import observe_piece
from napari_genprior.settings import Settings
from napari_genprior.zoo import store
from napari_genprior.zoo.card import read_card

CASES = {
    "images": 4000, "kernels": 2000, "plans": 3000, "settings": 4000, "requests": 2500, "reports": 1000,
    "cards": 1500,
    "weights": 500, "image files": 2500, "results": 500, "axes": 2000, "commands": 600, "runs": 300,
}  # fmt: skip
ALL = os.environ.get("CI") == "true" or "GENPRIOR_SLOW" in os.environ
HANGS = timedelta(seconds=60)  # a case takes milliseconds; a guard, not an expectation
LONGEST_SENTENCE = 2000  # characters
MODELS = {
    name: model
    for name, model in vars(all_settings).items()
    if isinstance(model, type) and issubclass(model, Settings) and model is not Settings
}


def fuzz(name: str, *strategies: st.SearchStrategy) -> Callable:
    """A test of as many cases as the table says."""

    def decorate(test: Callable) -> Callable:
        rule = settings(
            max_examples=CASES[name] if ALL else CASES[name] // 50,
            deadline=HANGS,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        return rule(given(*strategies)(test))

    return decorate


def outcome(call: Callable, *arguments: Any, **named: Any) -> Any:
    """What a call returns, or None where it said in a sentence why it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return call(*arguments, **named)
        except GenPriorError as error:
            said = str(error)
    assert 10 < len(said) < LONGEST_SENTENCE
    return None


# What goes in ----------------------------------------------------------------

DTYPES = (
    "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "g", ">f4", ">u2", "?", "c8", "c16", "O",
    "S3", "U3",
    "M8[s]", "m8[s]", "V4", [("a", "f4")],
)  # fmt: skip
FILLS = ("noise", "constant", "nan", "one nan", "inf", "huge", "tiny", "negative", "extremes", "one spike")
SHAPES = st.one_of(
    st.tuples(st.integers(8, 24), st.integers(8, 24)),
    st.tuples(st.integers(8, 24), st.integers(8, 24), st.sampled_from((1, 2, 3, 4, 5))),
    st.lists(st.integers(0, 12), max_size=5).map(tuple),
)
WRAPPED = ("plain", "turned", "frozen", "list", "masked", "matrix", "tensor")


@st.composite
def arrays(draw: st.DrawFn, shapes: st.SearchStrategy = SHAPES, dtypes: tuple = DTYPES, fills: tuple = FILLS) -> Any:
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(dtypes)))
    fill, wrapped = draw(st.sampled_from(fills)), draw(st.sampled_from(WRAPPED))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = filled(shape, dtype, fill, np.random.default_rng(draw(st.integers(0, 3))))
        return wrap(made, wrapped)


def filled(shape: tuple[int, ...], dtype: np.dtype, fill: str, random: np.random.Generator) -> np.ndarray:
    values = random.random(shape)
    if fill == "constant":
        values[...] = 0.5
    elif fill == "nan":
        values[...] = np.nan
    elif fill in ("one nan", "one spike") and values.size:
        values.flat[0] = np.nan if fill == "one nan" else 1e30
    elif fill == "inf":
        values[values > 0.5] = -np.inf
    elif fill in ("huge", "tiny"):
        values *= 1e308 if fill == "huge" else 1e-320
    elif fill == "negative":
        values -= 2
    elif fill == "extremes" and dtype.kind in "uif":
        info = np.iinfo(dtype) if dtype.kind in "ui" else np.finfo(dtype)
        return np.where(values > 0.5, info.max, info.min).astype(dtype)
    if dtype.kind in "ui":
        values = np.nan_to_num(values, posinf=1, neginf=0) * 100
    if dtype.kind in "VM" or dtype.names:
        return np.zeros(shape, dtype)
    return values.astype(dtype)


def wrap(array: Any, how: str) -> Any:
    if not isinstance(array, np.ndarray):  # numpy makes scalars of arrays without axes
        return array
    if how == "turned":
        return array[::-1].T if array.ndim else array
    if how == "frozen":
        array.flags.writeable = False
    elif how == "list":
        return array.tolist()
    elif how == "masked":
        return np.ma.masked_greater(array, 0.9) if array.dtype.kind in "uif" else np.ma.asarray(array)
    elif how == "matrix" and array.ndim == 2:
        return np.asmatrix(array)
    elif how == "tensor" and array.dtype.str in ("<f4", "|u1"):
        return torch.from_numpy(array.copy())
    return array


NUMBERS = st.one_of(
    st.sampled_from((0, 1, -1, 3, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, 1e-320, 1e308)),
    st.integers(-5, 100),
    st.floats(),
)
WORDS = (
    "",
    "auto",
    "cpu",
    "cuda:9",
    "paper",
    "fast",
    "learned",
    "nan",
    "1",
    "\x00",
    "\ud800",
    "é",
    "x" * 5000,
    "../..",
    "[",
)
PLAIN = (None, True, False, *WORDS)
SCALARS = st.one_of(st.sampled_from(PLAIN), NUMBERS, st.text(max_size=8))
NESTED = (
    [], {}, [[]], [None], [1, 2], [3, 3], [3, "3"], [3.5, 3], [0, 0], [-1, 3], [10**30, 3], [True, False],
    [1] * 1000, [[1, 2], [3, 4]],
    {"steps": 1}, {"steps": -1}, {"regularization": 1e400}, {"regularization": "1"}, {"regularization": [1]},
    {"restarts": 10**400}, {"": None},
    {"deconvolution": "network"}, {"schedule": "never"}, {"image_prior": "digits-28"}, {"kernel_prior": "../x.json"},
    {"a": {"b": {"c": [{}]}}},
    {"__class__": 1}, {"model_config": {}}, {"self": 1}, {"values": 2},
)  # fmt: skip
ANYTHING = st.one_of(SCALARS, st.sampled_from(NESTED))
IMAGES = st.one_of(arrays(), SCALARS, st.sampled_from((object, print, b"bytes", {1: 2}, [[1, 2], [3]], [["a"]])))
KERNELS = st.one_of(arrays(st.lists(st.integers(0, 9), max_size=3).map(tuple)), SCALARS)
SOUND = blocks(20, 24)


def fields_of(model: type[Settings]) -> st.SearchStrategy:
    """Settings that have some of the names right."""
    names = st.one_of(st.sampled_from(sorted(model.model_fields)), st.text(string.ascii_letters + "_.", max_size=8))
    return st.dictionaries(names, ANYTHING, max_size=4)


# What comes out --------------------------------------------------------------


@pytest.mark.slow
@fuzz("images", IMAGES)
def test_images(image):
    checked = outcome(check_image, image)
    if checked is not None:
        assert checked.dtype.kind in "uif"
        assert np.isfinite(checked).all()
        plan = outcome(planning.make_plan, image)
        if plan is not None:
            piece = outcome(observe_piece, plan.image, plan.settings, plan.device)
            if piece is not None:
                assert torch.isfinite(piece.observed.values).all()
                own = piece.to_image(piece.observed.values)
                assert own.shape == plan.image.shape
                assert own.dtype == np.float32


@pytest.mark.slow
@fuzz("kernels", KERNELS)
def test_kernels(kernel):
    checked = outcome(check_kernel, kernel)
    if checked is not None:
        assert checked.ndim == 2
        assert checked.min() >= 0
        assert checked.sum() == pytest.approx(1, abs=1e-4)


@fuzz(
    "plans",
    st.one_of(st.sampled_from(sorted(METHODS)), SCALARS),
    st.fixed_dictionaries(
        {},
        optional={
            "kernel": st.one_of(KERNELS, st.just(np.ones((3, 3)))),
            "kernel_size": st.one_of(ANYTHING, st.tuples(NUMBERS, NUMBERS)),
            "image_prior": SCALARS,
            "kernel_prior": st.one_of(SCALARS, st.sampled_from(("motion-28", "../motion-28", "digits-28"))),
            "restarts": SCALARS,
            "steps": SCALARS,
            "seed": SCALARS,
            "device": SCALARS,
            "time_limit_s": SCALARS,
            "settings": ANYTHING,
        },
    ),
)
def test_plans(method, arguments):
    plan = outcome(planning.make_plan, SOUND, method, **arguments)
    assert plan is None or plan.sentence


@pytest.mark.filterwarnings("ignore:The setting:DeprecationWarning")  # an old name may be drawn
@fuzz(
    "settings", st.sampled_from(sorted(MODELS)).flatmap(lambda name: st.tuples(st.just(name), fields_of(MODELS[name])))
)
def test_settings(named):
    name, values = named
    made = outcome(MODELS[name].checked, values)
    if made is not None:
        assert MODELS[name].model_validate_json(made.model_dump_json()) == made


TEXTS = st.one_of(
    ANYTHING.map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.integers(1, 5000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 5000).map(lambda depth: b'{"a":' * depth),
    st.sampled_from(
        (b"", b"null", b"\xff\xfe{}", b'{"method": "auto", "seed": 1e999}', b'{"steps": ' + b"9" * 5000 + b"}")
    ),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder for the files of all cases, one after the other."""
    return tmp_path_factory.mktemp("fuzz")


@fuzz(
    "requests",
    st.data(),
    st.one_of(
        TEXTS,
        st.dictionaries(st.sampled_from(requests.FIELDS), ANYTHING, max_size=5)
        .map(lambda request: {"method": "classical"} | request)
        .map(json.dumps)
        .map(str.encode),
    ),
)
def test_requests(place, data, content):
    path = place / "request.json"
    path.write_bytes(content)
    request = outcome(requests.load, path)
    if request is not None:
        plan = outcome(planning.make_plan, SOUND, **request)
        assert plan is None or plan.sentence


@fuzz("reports", st.one_of(TEXTS, st.tuples(st.sampled_from(("files", "provenance", "arguments")), ANYTHING)))
def test_reports(place, content):
    path = place / "report.json"
    if isinstance(content, tuple):
        part, value = content
        arguments = {"kernel_size": "auto", "kernel_sha256": None} | dict.fromkeys(RECORDED)
        provenance = {
            "method": "classical", "settings": {}, "seed": 0, "device": "cpu", "threads": 1, "input_sha256": "0",
            "arguments": arguments,
        }  # fmt: skip
        report = {"files": {"input": "a.png", "kernel": None}, "provenance": provenance}
        (provenance if part == "arguments" else report)[part] = value
        content = json.dumps(report).encode()
    path.write_bytes(content)
    earlier = outcome(read_report, path)
    assert earlier is None or isinstance(earlier.source, Path)


GOOD_CARD = json.loads((store.folders()[1] / "motion-28-linear.json").read_text())


@fuzz(
    "cards",
    st.one_of(
        TEXTS,
        st.dictionaries(st.one_of(st.sampled_from(sorted(GOOD_CARD)), st.text(max_size=5)), ANYTHING, max_size=2)
        .map(lambda changes: GOOD_CARD | changes)
        .map(json.dumps)
        .map(str.encode),
    ),
)
def test_cards(place, content):
    path = place / "card.json"
    path.write_bytes(content)
    card = outcome(read_card, path)
    assert card is None or card.pixels > 0


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What happens to a file: cut, bytes changed, zeros put in, lengthened."""
    where, value = draw(st.floats(0, 1)), draw(st.integers(0, 255))
    head = draw(st.integers(0, 400))  # sizes and types are said at the beginning
    how = draw(st.sampled_from(("cut", "byte", "head byte", "zeros", "insert", "ff", "none")))

    def spoil(content: bytes) -> bytes:
        at = int(where * len(content))
        at = min(head, len(content)) if how in ("head byte", "ff") else at
        patch = {"byte": bytes([value]), "head byte": bytes([value]), "zeros": bytes(8), "ff": b"\xff" * 4}.get(
            how, b""
        )
        if how == "cut":
            return content[:at]
        if how == "insert":
            return content[:at] + bytes([value]) * 9 + content[at:]
        return content[:at] + patch + content[at + len(patch) :]

    return spoil


@fuzz("weights", damage())
def test_weights(place, spoil):
    path = place / "model.json"
    content = spoil((store.folders()[1] / "motion-28-linear.safetensors").read_bytes())
    path.with_suffix(".safetensors").write_bytes(content)
    path.write_text(json.dumps(GOOD_CARD | {"sha256": hashlib.sha256(content).hexdigest()}))
    prior = outcome(gp.load_prior, path)
    assert prior is None or torch.isfinite(prior.decode(torch.zeros(1, 50))).all()


@pytest.fixture(scope="module")
def files(place) -> dict[str, bytes]:
    """A small good image of each type."""
    grey, colour = (SOUND * 255).astype(np.uint8), np.stack([(SOUND * 60000).astype(np.uint16)] * 3, -1)
    made = {}
    for number, (name, image) in enumerate(
        (("a.png", grey), ("a.png", colour), ("a.tif", colour), ("a.tif", SOUND), ("a.jpg", grey), ("a.npy", SOUND))
    ):
        io.write_image(place / name, image)
        made[f"{number}{Path(name).suffix}"] = (place / name).read_bytes()
    tifffile.imwrite(place / "a.tif", colour, compression="zlib", photometric="rgb")
    made["6.tif"] = (place / "a.tif").read_bytes()
    return made


@fuzz("image files", st.integers(0, 6), damage(), damage())
def test_image_files(place, files, number, spoil, again):
    name = sorted(files)[number]
    path = place / f"spoilt{Path(name).suffix}"
    path.write_bytes(again(spoil(files[name])))
    image = outcome(io.read_image, path)
    if image is not None:
        outcome(check_image, image)


@pytest.fixture(scope="module")
def saved(place) -> bytes:
    return gp.known_kernel(SOUND, np.ones((3, 3))).save(place / "result.npz").read_bytes()


@fuzz("results", damage())
def test_results(place, saved, spoil):
    path = place / "spoilt.npz"
    path.write_bytes(spoil(saved))
    result = outcome(gp.DeblurResult.load, path)
    assert result is None or result.image.ndim in (2, 3)


LETTERS = st.text("TCZYXSQtczyxs-3", max_size=6)


@fuzz(
    "axes",
    st.lists(st.one_of(st.integers(-2, 40), st.just(10**20)), max_size=7),
    st.one_of(st.none(), LETTERS, st.lists(st.one_of(LETTERS, SCALARS), max_size=6)),
    st.one_of(st.sampled_from(("stack", "channel", "frame", "plane")), SCALARS),
    st.one_of(st.sampled_from(("2d", "3d")), SCALARS),
)
def test_axes(shape, axes, kernels, depth):
    layout = outcome(make_layout, shape, axes, kernels, depth)
    if layout is not None:
        assert len(layout.axes) == len(shape)
        assert layout.sentence


OPTIONS = (
    "--method", "--kernel", "--kernel-size", "--image-prior", "--kernel-prior", "--restarts", "--steps", "--seed",
    "--device",
    "--time-limit", "--settings", "--setting", "--report", "--kernel-out", "--rerun", "--quiet", "--blur", "--length",
    "--axes", "--kernel-per", "--mode", "--tiles", "--tile-size", "--voxel-size", "--estimate-out", "--budget", "--set",
    "--noise", "-o",
    "--photons", "--boundary", "--help", "--sigma", "--aspect", "--nonsense",
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from((
        "known-kernel", "kernel.npy", "image.png", "none.png", ".", "request.json", "0", "-1", "1e9", "nan", "3", "3x3",
        "0x0", "x", "regularization=1", "steps=1e99", "=", "cpu", "cuda", "1", "valid", "gaussian", "out.npy",
        "out.png", "\x00", "é",
    )),
    st.text(max_size=4),
)  # fmt: skip


@fuzz(
    "commands",
    st.sampled_from(("deblur", "simulate", "models", "kernel", "nothing", "--version", "train")),
    st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES), max_size=4),
    VALUES,
)
def test_commands(place, monkeypatch_module, capsys, command, options, source):
    folder = place / "commands"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    io.write_image(folder / "image.png", (SOUND * 255).astype(np.uint8))
    np.save(folder / "kernel.npy", np.ones((3, 3)))
    (folder / "request.json").write_text('{"regularization": 2}')
    monkeypatch_module.chdir(folder)
    words = [command, source, *(word for option in options for word in option)]
    if command == "deblur":  # runs end soon
        words += ["-o", "result.png", "--kernel", "kernel.npy"]
    elif command == "simulate":
        words += ["-o", "result.png"]
    if command == "train":
        words += ["-o", "../..", "--data", "none.npz"]
    code = main(words)
    said = capsys.readouterr()
    assert code in (0, 2), (words, said.err)
    assert "Traceback" not in said.err
    left = [path.name for path in folder.iterdir() if path.name.endswith(".part")]
    assert left == []


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


RUN = arrays(
    st.tuples(st.integers(8, 24), st.integers(8, 24)) | st.tuples(st.just(16), st.just(16), st.sampled_from((3, 4))),
    ("u1", "u2", "u8", "i2", "i8", "f2", "f4", "f8", "g", ">f4"),
    ("noise", "negative", "extremes", "one spike", "huge"),
)


@fuzz("runs", RUN, st.one_of(KERNELS, st.just(np.ones((3, 3))), st.just(np.eye(8))), st.integers(0, 3))
def test_runs(image, kernel, regularization):
    result = outcome(gp.known_kernel, image, kernel, settings={"regularization": regularization})
    if result is not None:
        assert result.image.shape == np.shape(image)
        assert np.isfinite(result.image)[np.isfinite(image)].all()
        assert result.verdict.reason


def test_there_are_twenty_thousand_cases():
    assert sum(CASES.values()) >= 20_000
    with pytest.raises(InputError):  # what all of them count on
        check_image(np.zeros((2, 2)))
