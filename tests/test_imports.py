"""What is loaded when: each in a process of its own."""

import json
import subprocess
import sys

import pytest

LIST = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def loaded_after(code: str) -> set[str]:
    run = subprocess.run([sys.executable, "-c", f"{code}\n{LIST}"], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


@pytest.mark.slow
def test_importing_the_package_and_its_light_layers_loads_no_torch():
    modules = loaded_after(
        "from napari_genprior import cli, samples, settings\n"
        "from napari_genprior.core import axes, errors, image_io, lazy_io, result, result_file\n"
        "from napari_genprior.zoo import card, registry\n"
        "samples.clock_layers()"
    )
    assert not modules & {"torch", "napari", "qtpy", "magicgui"}


@pytest.mark.slow
def test_importing_everything_but_the_gui_loads_no_qt():
    modules = loaded_after(
        "import importlib, pkgutil, napari_genprior\n"
        "for m in pkgutil.walk_packages(napari_genprior.__path__, 'napari_genprior.'):\n"
        "    if '_napari' not in m.name and not m.name.endswith('__main__'): importlib.import_module(m.name)"
    )
    assert "torch" in modules
    assert not modules & {"napari", "qtpy", "magicgui", "superqt", "PyQt6", "PySide6"}


@pytest.mark.slow
def test_public_names_are_functions_whatever_was_imported_first():
    code = (
        "import napari_genprior.pipeline.run, napari_genprior.simulation, napari_genprior.blur.motion\n"
        "import napari_genprior as gp\n"
        "assert all(callable(getattr(gp, n)) for n in ('deblur', 'iter_deblur', 'simulate', 'known_kernel'))\n"
        "assert callable(gp.blur.motion) and callable(gp.metrics.psnr)\n"
        "assert set(gp.__all__) == set(dir(gp)) and all(hasattr(gp, n) for n in gp.__all__)"
    )
    assert "torch" in loaded_after(code)
