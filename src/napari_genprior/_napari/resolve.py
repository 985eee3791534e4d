"""Turn what a form shows, and the layer it is about, into the arguments of a run. Knows neither Qt nor the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from ..blur.given_kernel import GivenKernel
from ..core.axes import axis_candidates, describe_axes, make_layout
from ..core.units import voxel_size_um
from ..methods.registry import Method
from ..pipeline import runtime_estimate
from ..pipeline.plan import make_plan
from ..pipeline.unused_arguments import UNKNOWN_KERNEL_SETTINGS
from .layers import SelectedImage
from .prior_texts import no_image_prior

NO_IMAGE = "Open or choose an image layer first."
NO_KERNEL = "Open or choose a layer with the blur kernel first."
SEVERAL_AXES = "The axes of this layer can be read in several ways: choose under Axes what they mean."
VOLUME_FIELDS = ("kernel", "mask")  # of a widget's own choices, those that are meant for volumes too


class Scope(StrEnum):
    """The parts of the layers that a run applies to."""

    IMAGE = "image"
    SELECTED = "selected"
    PLANES = "planes"
    STACK = "stack"
    CHANNEL = "channel"
    FRAME = "frame"
    VOLUME = "volume"
    VARYING = "varying"

    @property
    def label(self) -> str:
        """Text of the scope in the window."""
        return LABELS[self][0]

    @property
    def help(self) -> str:
        """Tooltip of the scope: the text, which may be cut off, and a sentence."""
        return ": ".join(LABELS[self])

    @property
    def whole_layer(self) -> bool:
        """Return whether one run takes all of a layer, not a plane of it."""
        return self in (Scope.STACK, Scope.CHANNEL, Scope.FRAME, Scope.VOLUME)

    @property
    def kernel_axes(self) -> int:
        """Number of axes of a given kernel: of a plane, of a volume, or planes in rows and columns of tiles."""
        return {Scope.VARYING: 4, Scope.VOLUME: 3}.get(self, 2)


LABELS = {
    Scope.IMAGE: ("Current image", "The displayed image; of a stack, the displayed plane."),
    Scope.SELECTED: ("Selected layers", "All selected image layers, one after the other."),
    Scope.PLANES: ("Each plane separately", "All planes of the stack, one after the other, as if each were an image."),
    Scope.STACK: ("Stack, one kernel", "All planes of the layer in one run, with one kernel."),
    Scope.CHANNEL: (
        "Stack, a kernel per channel",
        "All planes of the layer in one run, with a kernel for each channel.",
    ),
    Scope.FRAME: ("Stack, a kernel per frame", "All planes of the layer in one run, with a kernel for each frame."),
    Scope.VOLUME: ("Volume (3D)", "The layer as one volume or several, with kernels in three dimensions."),
    Scope.VARYING: ("Spatially varying blur", "The displayed image in tiles, each with a kernel of its own."),
}


@dataclass(frozen=True)
class FormValues:
    """All that a form shows but the layer.

    Parameters
    ----------
    settings : mapping
        Values of the settings that are shown: those of the method, or of volumes.
    axes : str or None
        What the axes of a whole layer mean; None where nothing is chosen.
    tiles : int
        Number of tiles along each side, where the blur varies over the image.
    choices : mapping
        More arguments of ``deblur`` that a widget has editors for: kernel, kernel_size, kernel_prior, image_prior;
        and the mask.
    """

    scope: Scope
    method: Method
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    time_limit_s: float | None = None
    axes: str | None = None
    tiles: int = 3
    choices: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolved:
    """Keyword arguments of ``make_plan``, and a sentence about what a run still needs ("" where nothing is missing)."""

    arguments: dict[str, Any]
    missing: str = ""


def resolve(values: FormValues, selected: SelectedImage | None) -> Resolved:
    """Put the values of a form and the selected image together; the same for all scopes.

    Parameters
    ----------
    values : FormValues
    selected : SelectedImage or None
        The whole layer where the scope takes that, else a plane of it; None where there is no layer.
    """
    scope = values.scope
    arguments: dict[str, Any] = {
        "method": values.method.name,
        "seed": values.seed,
        "device": values.device,
        "time_limit_s": values.time_limit_s,
        "settings": dict(values.settings),
    }
    if scope is Scope.VOLUME:  # methods without a recipe for volumes stand for the one that has it
        arguments["method"] = "known-kernel" if values.method.needs_kernel else "auto"
        arguments |= {name: values.choices[name] for name in VOLUME_FIELDS if name in values.choices}
        arguments |= {"axes": values.axes, "mode": "3d", "voxel_size_um": _voxel_size(values.axes, selected)}
    else:
        arguments |= values.choices
    if scope in (Scope.STACK, Scope.CHANNEL, Scope.FRAME):
        arguments |= {"axes": values.axes, "kernel_per": scope.value}
    elif scope is Scope.VARYING:
        kernel = values.choices.get("kernel")
        grid = () if kernel is None else kernel.values.shape[:-2]  # given kernels say how many tiles there are
        arguments["tiles"] = grid if len(grid) == 2 else (values.tiles, values.tiles)
    return Resolved(arguments, _missing(values, selected))


def _missing(values: FormValues, selected: SelectedImage | None) -> str:
    if selected is None:
        return NO_IMAGE
    if values.method.needs_kernel and values.choices.get("kernel") is None:
        return NO_KERNEL
    uses_prior = "image_prior" in values.method.settings.model_fields and values.scope is not Scope.VOLUME
    if uses_prior and not values.choices.get("image_prior"):
        return no_image_prior(selected.image.shape)
    several = values.scope.whole_layer and values.axes is None and len(axis_options(values.scope, selected)) > 1
    return SEVERAL_AXES if several else ""


def outlook(values: FormValues, selected: SelectedImage | None, runs: int = 1) -> tuple[str, bool]:
    """Say what a run would do or what it still needs, and whether it can be started.

    Parameters
    ----------
    runs : int
        Number of images that are deblurred one after the other.

    Raises
    ------
    GenPriorError
        The image or the values cannot be used.
    """
    resolved = resolve(values, selected)
    if selected is None:
        return resolved.missing, False
    note = selected.note
    if values.scope in (Scope.SELECTED, Scope.PLANES):
        note = "1 image." if runs == 1 else f"{runs} images, one after the other."
    text = resolved.missing or _expectation(values, selected, resolved.arguments)
    return f"{text.removesuffix('.')}. {note}".strip(), not resolved.missing and runs > 0


def _expectation(values: FormValues, selected: SelectedImage, arguments: Mapping[str, Any]) -> str:
    """Say what a run will do and how long it will take; of a large single image, without reading its pixels."""
    single = values.scope is not Scope.VARYING
    if values.scope.whole_layer:
        mode = "3d" if values.scope is Scope.VOLUME else "2d"
        single = not make_layout(selected.image.shape, values.axes, "stack", mode).pieces
    if single and not selected.cheap:
        size = "x".join(map(str, selected.image.shape[: selected.axes]))
        unit = "voxels" if values.scope is Scope.VOLUME else "px"
        return f"{size} {unit}, large or not in memory: checked when the run starts"
    plan = make_plan(selected.image, **arguments)
    seconds = runtime_estimate.sentence(plan)
    each = " each" if seconds and values.scope in (Scope.SELECTED, Scope.PLANES) else ""
    expected = ", ".join(filter(None, (plan.sentence, seconds + each)))
    return " ".join([f"{expected}.", *plan.kernel_notes]) if plan.kernel_notes else expected


def axis_options(scope: Scope, selected: SelectedImage) -> list[str]:
    """List what the axes of a whole layer may mean: by its labels, where these can be, else by its shape."""
    shape = tuple(selected.image.shape)
    names = [*selected.place["axis_labels"], *("S" if selected.rgb else "")]
    options = axis_candidates(shape, names) or axis_candidates(shape)
    deep = [axes for axes in options if "Z" in axes and "S" not in axes]
    return deep or options if scope is Scope.VOLUME else options


def axes_label(axes: str, selected: SelectedImage) -> str:
    """Describe one interpretation of the axes: letters, then words."""
    return f"{axes}: {describe_axes(axes, selected.image.shape)}"


def scope_of(request: Mapping[str, Any], now: Scope) -> Scope:
    """Return the scope that a stored request is for; ``now`` stays where the request does not decide it."""
    if request.get("tiles"):
        return Scope.VARYING
    if request.get("mode") == "3d":
        return Scope.VOLUME
    by_kernels = {"channel": Scope.CHANNEL, "frame": Scope.FRAME, "plane": Scope.PLANES}
    if request.get("kernel_per") in by_kernels:
        return by_kernels[request["kernel_per"]]
    if request.get("axes"):
        return Scope.STACK
    return Scope.IMAGE if now.whole_layer or now is Scope.VARYING or not request else now


def with_kernel(arguments: Mapping[str, Any], kernel: np.ndarray) -> dict[str, Any]:
    """Return the arguments of a run on the same image with a known kernel."""
    fields = (
        "device",
        "axes",
        "mode",
        "voxel_size_um",
        "mask",
        *(("settings",) if arguments.get("mode") == "3d" else ()),
    )
    same = {name: arguments[name] for name in fields if name in arguments}
    if "settings" in same:
        same["settings"] = {n: v for n, v in same["settings"].items() if n not in UNKNOWN_KERNEL_SETTINGS}
    return {**same, "method": "known-kernel", "kernel": GivenKernel(kernel, exact=True)}


def _voxel_size(axes: str | None, selected: SelectedImage | None) -> tuple[float, float, float] | None:
    """Return the voxel size (z, y, x) in um by scale and units of the layer; None where an axis is not known."""
    if selected is None or axes is None:
        return None
    letters, place = axes.replace("S", ""), selected.place
    units = {axis: str(unit) for axis, unit in zip(letters, place["units"], strict=False)}
    return voxel_size_um(dict(zip(letters, place["scale"], strict=False)), units)
