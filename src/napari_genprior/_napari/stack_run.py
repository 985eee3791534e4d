"""A whole stack in one run: planes that share kernels, or volumes; the work in the thread, and its layers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from ..blur.support import pad_to
from ..core.axes import Layout, readings, told
from ..core.image_io import as_type
from ..core.result import DeblurResult, History, Provenance, Status, StatusCode, Verdict
from ..pipeline import stack_runtime as forecast
from ..pipeline.stack import run_stack
from ..pipeline.stack_plan import StackPlan, plan_stack
from ..pipeline.stack_result import StackProgress, StackResult
from ..pipeline.volumes import sides_um
from . import layers as _layers
from .background import BackgroundGenerator
from .layers import Picked
from .result_layers import Outcome, Output
from .workers import IMAGE_EVERY, LOOK_EVERY, Control, Done, Live, Work, failure

# what "Apply to" offers for them, and what that means to the front door
WISHES = {
    "all planes, one kernel": {"kernels": "one"},
    "all planes, a kernel per channel": {"kernels": "channel"},
    "all planes, a kernel per frame": {"kernels": "frame"},
    "volume": {"kernels": "one", "depth": "volume"},
}


def data_of(layer: Image) -> Any:
    """All of a layer, at full resolution."""
    return _layers.pick_all(layer).image


def axes_of(layer: Image) -> list[str]:
    """What the axes of a layer may mean: by its labels, where they say something that can be."""
    names = [*layer.axis_labels, *("S" if layer.rgb else "")]
    shape = data_of(layer).shape
    return readings(shape, names) or readings(shape)


def told_of(axes: str, layer: Image | None) -> str:
    """A reading in letters and words."""
    return axes if layer is None else f"{axes}: {told(axes, data_of(layer).shape)}"


def arguments_for(scope: str, layer: Image, axes: str | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``plan_stack`` but the data, from those for a single image; of volumes with their own settings."""
    given = dict(WISHES[scope], axes=axes)
    if given.get("depth") != "volume":
        return {**request, **given}
    names = (axes or "").replace("S", "")
    units = {axis: str(unit) for axis, unit in zip(names, layer.units, strict=False)}
    sides = sides_um(dict(zip(names, layer.scale, strict=False)), units)
    voxel = {} if sides is None else {"voxel_um": sides}
    return {name: request[name] for name in ("seed", "device", "kernel", "settings") if name in request} | given | voxel


@dataclass(frozen=True)
class StackOutcome(Outcome):
    """As :class:`Outcome`; ``kernels`` lie along the axes of the layer, ``report`` is of all of them."""

    kernels: np.ndarray
    report: dict[str, Any]


class _Typed:
    """Takes pieces as an array would, and keeps them in the type of the layer."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data

    def __setitem__(self, where: Any, piece: np.ndarray) -> None:
        self._data[where] = as_type(piece, self._data.dtype)


def deblurring_stack(source: Any, arguments: Mapping[str, Any], dtype: np.dtype, control: Control) -> Work:
    """Deblur a stack; ``arguments`` are those of ``plan_stack``. Stopped, what is done is kept, the rest is blurred."""
    clock, shown = time.perf_counter(), -np.inf
    yield Live(0.0, "reading the stack")
    made = plan_stack(source, **arguments)
    image = np.array(source, dtype)
    snapshots = BackgroundGenerator(run_stack(made, _Typed(image)), control.stop)
    kernels: dict[tuple[int, ...], np.ndarray] = {}
    control.seen.set()

    def so_far() -> StackOutcome | None:
        return _stopped(made, image, kernels, time.perf_counter() - clock) if kernels else None

    while True:
        try:
            progress: StackProgress | None = snapshots.take(LOOK_EVERY)
        except StopIteration as end:
            forecast.learn(made, end.value.provenance.seconds)
            yield Done(_finished(end.value, image))
            return
        except Exception as error:
            yield failure(error, so_far())
            return
        if progress is not None and progress.index is not None and progress.group is not None:
            kernels[progress.group] = progress.kernel
        if control.stop.is_set():
            yield Done(so_far())
            return
        if progress is None:
            if snapshots.waiting:
                yield Live(0.0, "waiting for another run")
            continue
        now = time.perf_counter()
        fresh = progress.image is not None and now - shown >= IMAGE_EVERY and control.seen.is_set()
        if fresh:
            control.seen.clear()
            shown = now
        kernel = progress.kernel if progress.kernel is not None and progress.kernel.ndim == 2 else None
        yield replace(Live.of(progress, image if fresh else None), kernel=kernel)


def _finished(result: StackResult, image: np.ndarray) -> StackOutcome:
    verdict = Verdict(result.improved, result.sentence, {})
    return _outcome(image, result.kernels, result.layout, verdict, result.status, result.provenance, result.report())


def _stopped(made: StackPlan, image: np.ndarray, kernels: dict, seconds: float) -> StackOutcome:
    sides = [max(kernel.shape[axis] for kernel in kernels.values()) for axis in range(len(made.layout.space))]
    together = np.zeros((*made.layout.groups, *sides), np.float32)
    for group, kernel in kernels.items():
        together[group] = pad_to(kernel, sides)
    status = Status(StatusCode.STOPPED, "Stopped; what was done is kept, the rest is as it was.")
    verdict = Verdict(False, f"{len(kernels)} of {max(1, int(np.prod(made.layout.groups)))} kernels were found.", {})
    request = made.piece
    provenance = Provenance(
        request.method.name, request.settings.model_dump(mode="json"), {}, request.seed, str(request.device), "float32", 0, "",
        made.layout.shape, {}, "", round(seconds, 3),
    )  # fmt: skip
    report = {"status": {"code": status.code.value, "sentence": status.sentence}, "axes": made.layout.axes}
    return _outcome(image, together, made.layout, verdict, status, provenance, report)


def _outcome(
    image: np.ndarray,
    kernels: np.ndarray,
    layout: Layout,
    verdict: Verdict,
    status: Status,
    provenance: Provenance,
    report: dict[str, Any],
) -> StackOutcome:
    first = kernels[(0,) * len(layout.groups)]
    shown = first if first.ndim == 2 else first.sum(0)  # a volume's as it looks from above
    summary = DeblurResult(image, shown, verdict, History.of([]), status, provenance)
    return StackOutcome(summary, image, {}, along_layer(kernels, layout), report)


def along_layer(kernels: np.ndarray, layout: Layout) -> np.ndarray:
    """Kernels with the axes of the layer, so that its sliders show the one in use; a view, nothing is copied."""
    sides = kernels.shape[len(layout.groups) :]
    own = [n if axis in layout.own else 1 for axis, n in zip(layout.looped, layout.pieces, strict=True)]
    spread = kernels.reshape(*own, *sides)
    whole = np.broadcast_to(spread, (*layout.pieces, *sides))
    now = layout.looped + layout.space
    return whole.transpose([now.index(axis) for axis in layout.axes if axis != "S"])


class SharedOutput(Output):
    """The layers of a run over a whole stack: the stack of results, blurred where it is still to come, and kernels."""

    def __init__(self, viewer: ViewerModel, layer: Image) -> None:
        super().__init__(viewer)
        self._whole = _layers.pick_all(layer)

    def start(self, source: Image, picked: Picked) -> None:
        super().start(source, self._whole)

    def show(self, image: np.ndarray, kernel: np.ndarray | None) -> None:
        """The stack on the way: always the same array, of which more is done."""
        if self._image is None:
            self._image = self._add(_layers.result_layer(self._whole, image, _layers.UNFINISHED))
        elif self._image in self._viewer.layers:
            self._image.refresh()

    def finish(self, outcome: Outcome) -> str:
        assert isinstance(outcome, StackOutcome)
        report = outcome.report | {"source": self._whole.name}
        if self._image is not None and self._image not in self._viewer.layers:
            self._image = None  # removed by the user: the result comes anew
        data, arguments = _layers.kernel_layer(self._whole, outcome.kernels, report)
        self._kernel = self._add((data, arguments))
        self.show(outcome.image, None)
        assert self._image is not None
        self._image.metadata[_layers.KEY] = report
        self._viewer.layers.selection.active = self._image
        return ""
