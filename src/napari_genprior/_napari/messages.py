"""Messages between a run in a thread and the window: progress, end, error, remarks, and the request to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import GenPriorError
from ..core.result import DeblurResult
from ..core.run_records import Progress, StatusCode
from ..pipeline.recipe_run import DONE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Live:
    """Progress of a run; now and then with the image (in the layer's type) and the kernel. ``loss`` is [R]."""

    fraction: float
    stage: str
    image: np.ndarray | None = None
    kernel: np.ndarray | None = None
    step: int = 0
    loss: np.ndarray | None = None

    @classmethod
    def of(cls, progress: Progress, image: np.ndarray | None = None) -> Live:
        """Make a message of a snapshot; ``image`` is its image, where that is to be drawn."""
        loss = progress.losses.get("total")
        return cls(progress.fraction, progress.stage, image, progress.kernel, progress.step, loss)


@dataclass(frozen=True)
class Done:
    """End of a run. ``value`` is its result; None where it was stopped before there was any."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """End of a run by an error. ``value`` is the result up to the error, if any."""

    error: Exception
    value: Any = None

    @property
    def sentence(self) -> str:
        """Human-readable message: our own errors as they are, others with their type."""
        if isinstance(self.error, GenPriorError):
            return str(self.error)
        text = f"{type(self.error).__name__}: {self.error}".strip()
        if "out of memory" in text.lower() or isinstance(self.error, MemoryError):
            return f"Out of memory; use a smaller image or another device. ({text})"
        return f"An unexpected error: {text}. Please report it; details are in the log."


@dataclass(frozen=True)
class Remarks:
    """What a completed run left out and did to the given kernel: in one line, and in full."""

    short: str = ""
    full: str = ""

    @classmethod
    def of(cls, result: DeblurResult) -> Remarks:
        """Take them from a result; of a run that was cut short, its status says them."""
        if result.status.code is not StatusCode.DONE:
            return cls()
        full = result.status.sentence.removeprefix(DONE.sentence).strip()
        steps = result.provenance.arguments.get("kernel_notes", ())
        if len(steps) < 2:
            return cls(full, full)
        left_out = full.removesuffix(" ".join(steps))
        return cls(f"{left_out}The kernel was prepared in {len(steps)} steps (see the tooltip).", full)


@dataclass(frozen=True)
class Control:
    """Events that the window sets for the thread: ``stop``, and ``drawn`` once the last image is on the screen."""

    stop: threading.Event = field(default_factory=threading.Event)
    drawn: threading.Event = field(default_factory=threading.Event)


Work = Generator[Live | Done | Failed, None, None]


def failure(error: Exception, value: Any = None) -> Failed:
    """Log an error that is not the user's, and wrap it."""
    if not isinstance(error, GenPriorError):
        logger.error("a run failed", exc_info=error)
    # the traceback would keep every tensor of the run alive for as long as the message
    return Failed(error.with_traceback(None), value)
