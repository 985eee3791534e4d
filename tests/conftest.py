"""Shared by all tests: one torch thread, small images with known answers, and where the big sets are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from images import blocks
from napari_genprior.core import log_file as logs

torch.set_num_threads(1)  # two busy threads on small arrays are slower than one, and results repeat only per count


def pytest_addoption(parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/golden.json by what runs give")


@pytest.fixture(scope="session", autouse=True)
def log_of_its_own(tmp_path_factory) -> Iterator[None]:
    """No test writes into the user's log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "file", lambda: tmp_path_factory.getbasetemp() / "log.txt")
        yield


@pytest.fixture
def shared() -> Path:
    """The folder of evaluation and training sets; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("GENPRIOR_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the data sets, looked for in {folder} (set GENPRIOR_SHARED)")
    return folder


@pytest.fixture
def sharp() -> np.ndarray:
    return blocks()
