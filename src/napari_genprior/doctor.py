"""What this installation consists of, and what is wrong with it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from .errors import GenPriorError

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "tifffile", "imagecodecs", "pydantic", "safetensors")
GUI_PACKAGES = ("napari", "npe2", "magicgui", "qtpy", "superqt")
QT_BINDINGS = ("PyQt6", "PySide6", "PySide6-Essentials", "PyQt5")


def examine() -> tuple[list[str], list[str]]:
    """Returns lines to read, and faults (empty: all is well)."""
    from . import __version__

    lines = [
        f"napari-genprior {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores"
    ]
    faults: list[str] = []
    found = {name: _version(name) for name in PACKAGES + GUI_PACKAGES + QT_BINDINGS}
    lines.append("packages: " + ", ".join(f"{n} {v}" for n, v in found.items() if v and n in PACKAGES))
    faults += [f"{name} is not installed: pip install {name}" for name in PACKAGES if not found[name]]
    gui = ", ".join(f"{n} {v}" for n, v in found.items() if v and n not in PACKAGES)
    lines.append(f"for napari: {gui or 'nothing'}")
    bindings = [name for name in QT_BINDINGS if found[name]]
    if found["napari"] and not bindings:
        faults.append("napari is installed without a Qt binding: pip install PyQt6")
    if not found["napari"]:
        lines.append("napari is not installed (Python and the command line work without it): pip install 'napari[all]'")
    for check in (_devices, _solve, _samples, _models):
        try:
            lines.append(check())
        except Exception as error:  # whatever is broken is what the doctor is asked for
            text = str(error) if isinstance(error, GenPriorError) else f"{type(error).__name__}: {error}"
            faults.append(f"{check.__name__.strip('_')}: {text}")
    return lines, faults


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> str:
    import torch

    from ._tensors import available_devices

    return f"devices: {', '.join(available_devices())}; torch uses {torch.get_num_threads()} threads"


def _solve() -> str:
    import numpy as np

    from .blur import gaussian
    from .deblurring import known_kernel
    from .simulation import simulate

    sharp = np.zeros((32, 32), np.float32)
    sharp[8:24, 8:24] = 1
    made = simulate(sharp, gaussian(1.0), noise=0.001)
    result = known_kernel(made.blurred, made.kernel)
    before, after = (float(np.mean((x - sharp) ** 2)) for x in (made.blurred, result.image))
    if not after < before:
        raise ArithmeticError(
            f"a known-kernel solve made a test picture worse (squared error {before:.3g} to {after:.3g})"
        )
    return "a small known-kernel solve works"


def _samples() -> str:
    from . import samples

    return "sample pictures: " + ", ".join(
        f"{f.__name__} {f().shape}" for f in (samples.clock, samples.cat, samples.cells)
    )


def _models() -> str:
    from .zoo.store import folders, list_priors, load_prior, paths, read_installed

    for path in paths():
        read_installed(path)
    cards = list_priors()
    for card in cards:
        load_prior(card.name)
    return (
        f"models: {', '.join(card.name for card in cards) or 'none'} (looked for in {', '.join(map(str, folders()))})"
    )
