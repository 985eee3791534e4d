"""Repeat a run from its report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import FileError, InputError, short_repr

if TYPE_CHECKING:
    from ..pipeline.plan import Plan

RECORDED = ("axes", "kernel_per", "mode", "tiles", "tile_size", "voxel_size_um", "time_limit_s", "dtype", "series")
MAX_THREADS = 1024


@dataclass(frozen=True)
class EarlierRun:
    """A run that is to be repeated, as its report describes it.

    Parameters
    ----------
    source : Path
        Its input.
    arguments : dict
        Of :func:`~napari_genprior.deblur`.
    threads : int
        Number of torch threads, on which the last bits of a result depend.
    input_sha256, kernel_sha256, mask_sha256 : str or None
        Hashes of the input and of the given kernels.
    """

    source: Path
    arguments: dict[str, Any]
    threads: int
    input_sha256: str
    kernel_sha256: str | None
    mask_sha256: str | None


def read_report(path: Path) -> EarlierRun:
    """Read the report of a run.

    Raises
    ------
    FileError
        The file cannot be read.
    InputError
        It is not a report, or one of a version whose runs cannot be repeated.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        provenance, files = report["provenance"], report["files"]
        recorded = provenance["arguments"]
        if not isinstance(recorded["axes"], str | None):
            raise InputError(
                f"The report {path} has the axes {short_repr(recorded['axes'])}; allowed are text or null."
            )
        size = recorded["kernel_size"]
        arguments = {name: recorded[name] for name in RECORDED if recorded[name] is not None}
        arguments |= {name: provenance[name] for name in ("method", "settings", "seed", "device")}
        if files["kernel"]:
            arguments["kernel"] = Path(files["kernel"])
        if recorded.get("optics") is not None:
            from ..blur.optics_request import Optics

            arguments["kernel"] = Optics(**recorded["optics"])
        if files.get("mask"):
            arguments["mask"] = Path(files["mask"])
        if size != "auto":
            arguments["kernel_size"] = tuple(size)
        return EarlierRun(
            source=Path(files["input"]),
            arguments=arguments,
            threads=_threads(provenance["threads"]),
            input_sha256=provenance["input_sha256"],
            kernel_sha256=recorded["kernel_sha256"],
            mask_sha256=recorded.get("mask_sha256"),
        )
    except OSError as error:
        raise FileError(f"The report {path} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} is not a report of this version of genprior deblur ({type(error).__name__}: {error})."
        ) from error


def _threads(count: Any) -> int:
    """Check the number of threads of a report, which is an untrusted file."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_THREADS:
        raise InputError(f"A report's threads must be an integer from 1 to {MAX_THREADS}; got {short_repr(count)}.")
    return count


def prepare_rerun(plan: Plan, earlier: EarlierRun, source: Path) -> None:
    """Set the number of threads of the earlier run; raises InputError where input or kernel are not those of it."""
    import torch

    from ..core.provenance import array_hash
    from ..pipeline.input_hash import input_hash

    kernel_sha256 = None if plan.kernels is None else array_hash(plan.kernels)
    if kernel_sha256 != earlier.kernel_sha256:
        raise InputError("The kernel file is not the kernel of that run (SHA-256 differs).")
    if (None if plan.mask is None else array_hash(plan.mask)) != earlier.mask_sha256:
        raise InputError("The mask file is not the mask of that run (SHA-256 differs).")
    if input_hash(plan) != earlier.input_sha256:
        raise InputError(
            f"{source} is not the image of that run (SHA-256 differs); a run repeats only on its own input."
        )
    torch.set_num_threads(earlier.threads)
