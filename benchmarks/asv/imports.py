"""Measure how long it takes to start."""

import subprocess
import sys


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


class Start:
    """Time processes of their own, the interpreter's start included."""

    repeat = 5
    number = 1

    def time_interpreter(self):
        """Time an empty process, to compare with."""
        _run("pass")

    def time_import(self):
        _run("import napari_genprior")

    def time_command_help(self):
        _run("from napari_genprior.cli import main; main(['--help'])")
