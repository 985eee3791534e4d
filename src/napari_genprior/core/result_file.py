"""Save results as one ``.npz`` file, and read them back. Nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LONGEST, FileError, InputError, short_repr
from .image_io import write_atomic
from .layout import Layout
from .run_records import History, Provenance, Status, StatusCode, Verdict

FORMAT = 2


def report_of(result: Any) -> dict[str, Any]:
    """Return everything of a result but the arrays, ready for JSON."""
    several = [{"group": list(group), **asdict(verdict)} for group, verdict in result.verdicts.items()]
    return {
        "format": FORMAT,
        "status": asdict(result.status),
        "verdict": asdict(result.verdict),
        "verdicts": several,
        "selected": result.selected,
        "candidate_costs": [cost for _, cost in result.candidates],
        "kernels_shape": list(result.kernels.shape),
        "layout": None if result.layout is None else asdict(result.layout),
        "constant_pieces": [list(index) for index in result.constant_pieces],
        "path": None if result.path is None else str(result.path),
        "provenance": asdict(result.provenance),
    }


def save_result(result: Any, path: str | Path) -> Path:
    """Write a result; see :meth:`.DeblurResult.save`."""
    if not isinstance(path, str | Path):
        raise InputError(f"save() needs a path that ends in .npz; got {short_repr(path)}.")
    if Path(path).suffix.lower() != ".npz":
        raise InputError(
            f"{path} does not end in .npz, which save() writes (all arrays and the report); "
            "to write an image, give out= to deblur, or genprior deblur -o."
        )
    arrays: dict[str, Any] = {f"history_{name}": values for name, values in result.history.terms.items()}
    arrays |= {f"extra_{name}": values for name, values in result.extra_images.items()}
    arrays |= {f"candidate_{number}": kernel for number, (kernel, _) in enumerate(result.candidates)}
    if result.image is not None:
        arrays["image"] = np.asarray(result.image)
    with write_atomic(path) as beside, beside.open("wb") as file:
        np.savez_compressed(
            file,
            kernels=result.kernels,
            history_steps=result.history.steps,
            report=np.array(json.dumps(result.report())),
            **arrays,
        )
    return Path(path)


def load_parts(path: str | Path) -> dict[str, Any]:
    """Read the fields of a result; see :meth:`.DeblurResult.load`."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        report = json.loads(str(arrays.pop("report")))
        if report["format"] != FORMAT:
            raise FileError(f"{path} has format {report['format']}; this version reads {FORMAT}.")
        if report["path"] is None and "image" not in arrays:
            raise ValueError("it holds no image")
        return _from_parts(report, arrays)
    except FileError:
        raise
    except Exception as error:
        raise FileError(f"{path} is not a readable saved result ({str(error)[:LONGEST]}).") from error


def _from_parts(report: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    history, extras = (
        {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in ("history_", "extra_")
    )
    provenance = report["provenance"] | {"input_shape": tuple(report["provenance"]["input_shape"])}
    layout = report["layout"]
    return dict(  # noqa: C408 (the keyword arguments of DeblurResult)
        image=arrays.get("image"),
        kernels=arrays["kernels"],
        verdict=Verdict(**report["verdict"]),
        history=History(history.pop("steps"), history),
        status=Status(StatusCode(report["status"]["code"]), report["status"]["sentence"]),
        provenance=Provenance(**provenance),
        selected=report["selected"],
        extra_images=extras,
        candidates=tuple((arrays[f"candidate_{n}"], cost) for n, cost in enumerate(report["candidate_costs"])),
        verdicts={tuple(each.pop("group")): Verdict(**each) for each in report["verdicts"]},
        layout=None if layout is None else Layout(**(layout | {"shape": tuple(layout["shape"])})),
        constant_pieces=tuple(tuple(index) for index in report["constant_pieces"]),
        path=None if report["path"] is None else Path(report["path"]),
    )
