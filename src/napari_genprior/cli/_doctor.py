"""Check this installation: versions, devices, models, and a small deconvolution."""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..core.errors import GenPriorError

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "tifffile", "imagecodecs", "pydantic", "safetensors")
GUI_PACKAGES = ("napari", "npe2", "magicgui", "qtpy", "superqt")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "QT_API", "QT_QPA_PLATFORM", "LANG")
COMMON_NAMES = ("root", "user", "admin", "home", "localhost")  # identify nobody, and occur as words
FOLDERS = re.compile(r"""(?<![\w.:])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\:'",;()]+)*[/\\](?=[^\s/\\])""")
QT_BINDINGS = ("PyQt6", "PySide6", "PySide6-Essentials", "PyQt5")


def examine() -> tuple[list[str], list[str]]:
    """Examine the installation; return human-readable lines and faults (an empty list where there are none)."""
    from ..core.version import __version__

    lines = [
        f"napari-genprior {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores"
    ]
    faults: list[str] = []
    versions = {name: _version(name) for name in PACKAGES + GUI_PACKAGES + QT_BINDINGS}
    lines.append("packages: " + ", ".join(f"{n} {v}" for n, v in versions.items() if v and n in PACKAGES))
    faults += [f"{name} is not installed; pip install {name}" for name in PACKAGES if not versions[name]]
    gui = ", ".join(f"{n} {v}" for n, v in versions.items() if v and n not in PACKAGES)
    lines.append(f"packages for napari: {gui or 'none'}")
    bindings = [name for name in QT_BINDINGS if versions[name]]
    if versions["napari"] and not bindings:
        faults.append("napari is installed without a Qt binding; pip install PyQt6")
    if not versions["napari"]:
        lines.append("napari is not installed (Python and the command line work without it); pip install 'napari[all]'")
    for check in (_devices, _deconvolution, _samples, _models):
        try:
            lines.append(check())
        except Exception as error:  # any error here is a fault to report
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

    from ..core.arrays import available_devices

    return f"devices: {', '.join(available_devices())}; torch uses {torch.get_num_threads()} threads"


def _deconvolution() -> str:
    import numpy as np

    from ..blur import gaussian
    from ..pipeline.front_door import known_kernel
    from ..simulation import simulate

    sharp = np.zeros((32, 32), np.float32)
    sharp[8:24, 8:24] = 1
    simulated = simulate(sharp, gaussian(1.0), noise=0.001)
    result = known_kernel(simulated.blurred, simulated.kernel)
    before, after = (float(np.mean((x - sharp) ** 2)) for x in (simulated.blurred, result.image))
    if not after < before:
        raise ArithmeticError(
            f"known-kernel deconvolution made a test image worse (squared error {before:.3g} to {after:.3g})"
        )
    return "known-kernel deconvolution of a small image works"


def _samples() -> str:
    from .. import samples

    return "sample images: " + ", ".join(
        f"{f.__name__} {f().shape}" for f in (samples.clock, samples.cat, samples.cells)
    )


def _models() -> str:
    from ..zoo.store import folders, list_priors, load_prior, paths, read_installed

    for path in paths():
        read_installed(path)
    cards = list_priors()
    for card in cards:
        load_prior(card.name)
    return f"models: {', '.join(card.name for card in cards) or 'none'} (searched in {', '.join(map(str, folders()))})"


def report() -> dict[str, Any]:
    """Collect the content of a bug report, ready for JSON: versions, devices, models, faults, the end of the log.

    It holds no user names, host names or folders: see :func:`without_names`.
    """
    from ..core import log_file as logs
    from ..pipeline import runtime_estimate as expected
    from ..zoo.store import list_models

    lines, faults = examine()
    names = PACKAGES + GUI_PACKAGES + QT_BINDINGS
    content = {
        "installation": lines,
        "faults": faults,
        "packages": {name: installed for name in names if (installed := _version(name))},
        "python": f"{platform.python_implementation()} {sys.version}",
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "models": {card.name: f"{card.kind}, {card.arch}, {card.shape}, {card.sha256}" for card in list_models()},
        "learnt_seconds": expected.ratios(),
        "log": logs.last_lines(),
    }
    return _each_text(content)


def _each_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {without_names(str(key)): _each_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_each_text(inner) for inner in value]
    return without_names(value) if isinstance(value, str) else value


def without_names(text: str) -> str:
    """Remove folders, user and host names from a text; of each path only the last name remains."""
    text = text.replace(str(Path.home()), "~")
    text = FOLDERS.sub("<folder>/", text)
    for name, replacement in (
        (_user(), "<user>"),
        (platform.node(), "<host>"),
        (platform.node().split(".")[0], "<host>"),
    ):
        if len(name) > 1 and name.lower() not in COMMON_NAMES:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", replacement, text, flags=re.IGNORECASE)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        return ""
