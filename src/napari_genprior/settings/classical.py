"""Of the methods without a learned prior."""

from __future__ import annotations

from pydantic import Field

from .base import Settings


class ClassicalSettings(Settings):
    """Coarse-to-fine kernel estimation with an L0 gradient prior, then a total-variation solve (``classical/``)."""

    smoothing: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation, as a multiple of what the noise asks for. "
        "More hides noise and ringing, less keeps fine detail.",
    )


class KnownKernelSettings(Settings):
    """The picture for a given kernel, by total variation (``classical/known_kernel.py``)."""

    smoothing: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Smoothing",
        description="Strength of the total variation, as a multiple of what the noise asks for. "
        "More hides noise and ringing, less keeps fine detail.",
    )
