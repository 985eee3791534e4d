"""Blur that changes over the image: the work in the thread, and its layers, a map of the kernels among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.image_io import as_type
from ..core.result import DeblurResult, History
from ..pipeline.spatially_varying import VaryingResult, plan_varying, run_varying
from . import layers as _layers
from .background import BackgroundGenerator
from .result_layers import Outcome, Output
from .workers import LOOK_EVERY, Control, Done, Live, Work, failure

CHANGING = "this image, its blur changes"
TILES = 3  # along each side, where nothing else is asked for


@dataclass(frozen=True)
class VaryingOutcome(Outcome):
    """As :class:`Outcome`, whose ``result.kernel`` is the map; ``kernels`` [ty, tx, kh, kw]."""

    kernels: np.ndarray
    report: dict[str, Any]

    @classmethod
    def of_varying(cls, result: VaryingResult, dtype: np.dtype) -> VaryingOutcome:
        image = as_type(result.image, dtype)
        summary = DeblurResult(image, result.map, result.verdict, History.of([]), result.status, result.provenance)
        return cls(summary, image, {}, result.kernels, result.report())


def deblurring_varying(source: Any, arguments: Mapping[str, Any], dtype: np.dtype, control: Control) -> Work:
    """Deblur ``source`` with a kernel per tile; ``arguments`` are those of ``plan_varying``. A stop keeps nothing."""
    yield Live(0.0, "reading the image")
    snapshots = BackgroundGenerator(run_varying(plan_varying(np.asarray(source), **arguments)), control.stop)
    while True:
        try:
            progress = snapshots.take(LOOK_EVERY)
        except StopIteration as end:
            yield Done(VaryingOutcome.of_varying(end.value, dtype))
            return
        except Exception as error:
            yield failure(error)
            return
        if control.stop.is_set():
            yield Done(None)
            return
        if progress is not None:
            yield Live.of(progress)
        elif snapshots.waiting:
            yield Live(0.0, "waiting for another run")


class VaryingOutput(Output):
    """The result, and beside it the kernels drawn at their places; the kernels themselves are in its metadata."""

    def finish(self, outcome: Outcome) -> str:
        assert isinstance(outcome, VaryingOutcome)
        assert self._picked is not None
        report = outcome.report | {"source": self._picked.name}
        drawn = report | {"kernels": outcome.kernels}
        self._kernel = self._add(_layers.kernel_layer(self._picked, outcome.result.kernel, drawn, "kernel map"))
        self._image = self._add(_layers.result_layer(self._picked, outcome.image, report))
        return ""
