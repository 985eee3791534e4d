"""Measure processor seconds and peak memory of deconvolving a volume, each program in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .benchmark_microscopy_cases import BIG_PSF_SHAPE, BIG_SHAPE, PSF_SHAPES, SHAPES, Case, volume
from .benchmark_microscopy_peers import DECONWOLF, deconwolf_command, installed, skipped_lines
from .benchmark_report import Report, Row

STEPS = 30
OURS, NOTHING = "known-kernel", "nothing, start alone"
CHILD = """
import sys, time
import numpy as np
import napari_genprior as gp
from napari_genprior.evaluation.benchmark_microscopy_peers import PEERS
program, data, psf, steps, *voxel = sys.argv[1:]
data, psf = np.load(data), np.load(psf)
gp.known_kernel
seconds = time.process_time()
if program == "known-kernel":
    gp.known_kernel(data, psf, mode="3d", voxel_size_um=tuple(map(float, voxel)))
elif program in PEERS:
    next(PEERS[program][0](data, psf, (int(steps),)))
print(time.process_time() - seconds)
"""
# The peak of a process counts from that of its parent on: a small process starts the program.
LAUNCHER = """
import json, resource, subprocess, sys
run = subprocess.run(sys.argv[1:], capture_output=True, text=True)
if run.returncode:
    sys.exit(run.stderr or run.stdout)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([used.ru_utime + used.ru_stime, peak, run.stdout]))
"""


def lines(size: str = "full") -> Report:
    """Deconvolve one volume with each program, 30 steps of the peers: yield lines, and return rows.

    The seconds leave out the start of Python and the imports, the peak memory includes them; the first line says how
    much that is. Systems without the module ``resource`` (Windows) cannot run this part.
    """
    if size == "full":
        case = volume("wf14", "cells", 1000, BIG_SHAPE, BIG_PSF_SHAPE, 0)
    else:
        case = volume("wf14", "cells", 1000, SHAPES[size], PSF_SHAPES[size], 0)
    shape = "x".join(map(str, case.data.shape))
    yield from skipped_lines()
    yield f"{f'volume of {shape} voxels':34} {'CPU s':>7} {'peak MB':>8}"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for program in (NOTHING, OURS, *installed()):
            seconds, peak = _measure(program, case, Path(folder))
            yield f"{program:34} {seconds:7.1f} {peak / 1e6:8.0f}"
            metrics = {"CPU s": seconds, "peak memory, MB": peak / 1e6}
            rows.append(Row(f"volume of {shape} voxels", program, metrics, "PSF"))
    return rows


def _measure(program: str, case: Case, folder: Path) -> tuple[float, float]:
    """Run a program in a new process; return its processor seconds and its peak memory in bytes."""
    assert case.optics is not None
    if program == DECONWOLF:
        command = deconwolf_command(folder, case.above_offset, case.psf, STEPS)
    else:
        data, psf = folder / "data.npy", folder / "psf.npy"
        np.save(data, case.data if program == OURS else case.above_offset)
        np.save(psf, case.psf)
        arguments = [program, data, psf, STEPS, *case.optics.voxel_size_um]
        command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    run = subprocess.run([sys.executable, "-c", LAUNCHER, *command], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{program} failed: {run.stderr.strip().splitlines()[-1]}")
    seconds, peak, printed = json.loads(run.stdout)
    return (seconds if program == DECONWOLF else float(printed)), peak
