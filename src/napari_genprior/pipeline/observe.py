"""Turn a piece in native units into what each of its pixels says, in working units, and results back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import to_image
from ..core.checks import is_colour
from ..core.errors import ConstantError, InputError
from ..core.intensity import Intensity
from ..operators.observed import SATURATION_MARGIN, Observed, join
from ..operators.photon_noise import UNKNOWN, KnownNoise, background_level
from ..operators.pixel_survey import PixelSurvey, clipping_levels, survey_pixels
from ..settings import Settings, VolumeSettings
from .plan_checks import is_coded


@dataclass(frozen=True)
class ObservedPiece:
    """A piece and what its pixels say.

    Attributes
    ----------
    native : array [(Z,) Y, X] or [Y, X, 3 or 4]
        As the user gave it.
    observed : Observed
        Of one image, ``[1, C, (Z,) Y, X]``, working units.
    intensity : Intensity
    survey : PixelSurvey
    """

    native: np.ndarray
    observed: Observed
    intensity: Intensity
    survey: PixelSurvey

    @property
    def sound(self) -> np.ndarray:
        """The piece in native units, with the pixels that say nothing filled in."""
        if not is_colour(self.native):
            return self.survey.values[0]
        return np.concatenate([np.moveaxis(self.survey.values, 0, -1), self.native[..., 3:]], axis=-1)

    def to_image(self, working: Tensor) -> np.ndarray:
        """Convert a restored image to native units; marks and what is masked from outside keep their values."""
        image = to_image(working, self.intensity, self.native)
        if self.survey.kept.any():
            colour = is_colour(self.native)
            kept = np.moveaxis(self.survey.kept, 0, -1) if colour else self.survey.kept[0]
            target = image[..., :3] if colour else image
            target[kept] = (self.native[..., :3] if colour else self.native)[kept]
        return image

    def to_std(self, std: Tensor, working: Tensor) -> np.ndarray:
        """Convert a standard deviation at a restored image to native units, one value for all channels."""
        at = working[0].detach().cpu().numpy()  # it has the scale of the input, but not its offset
        native = std[0].detach().cpu().numpy() * self.intensity.derivative(at)
        return np.sqrt(np.square(native).mean(0)).astype(np.float32)


def observe_piece(
    piece: np.ndarray,
    settings: Settings,
    device: torch.device,
    mask: np.ndarray | None = None,
    intensity: Intensity | None = None,
) -> ObservedPiece:
    """Find out what each pixel of a piece says.

    Parameters
    ----------
    piece : array [(Z,) Y, X] or [Y, X, 3 or 4]
        Native units. Fully transparent pixels say nothing.
    mask : bool array [(Z,) Y, X], optional
        True at pixels that say nothing.
    intensity : Intensity, optional
        That of the whole image, if the piece is a part of it.
    """
    planes = as_planes(piece)
    if is_colour(piece) and piece.shape[-1] == 4 and (hidden := piece[..., 3] == 0).any():
        mask = hidden if mask is None else mask | hidden
    survey = survey_pixels(planes, mask)
    if intensity is None:
        intensity = intensity_of(survey, settings)
    values = torch.from_numpy(np.ascontiguousarray(intensity.to_working(survey.values)))[None]
    masked = torch.from_numpy(survey.masked)[None]
    levels = np.array(intensity.saturation or (np.inf,), np.float64).reshape(-1, *[1] * (planes.ndim - 1))
    at_least = torch.from_numpy(survey.values >= levels)[None] & ~masked
    dark = torch.from_numpy(survey.values <= 0)[None] if intensity.offset == 0 else torch.zeros_like(masked)
    step = survey.step / intensity.scale
    observed = Observed(values, masked, at_least, dark & ~masked, step).to(device)
    return ObservedPiece(piece, observed, intensity, survey)


def observe_pieces(pieces: Sequence[np.ndarray], settings: Settings, device: torch.device) -> Observed | None:
    """Find out what each pixel of several pieces of one size says, each in its own working units; None for none."""
    return join([observe_piece(each, settings, device).observed for each in pieces]) if pieces else None


def intensity_of(survey: PixelSurvey, settings: Settings) -> Intensity:
    """Return how the values of a surveyed piece map to working units, and where they are clipped.

    Raises
    ------
    InputError
        All pixels that say something have one value.
    """
    absolute = "image_prior" in type(settings).model_fields
    intensity = Intensity.of(survey.values, absolute, coded=is_coded(settings))
    if not intensity.scale:
        raise ConstantError(
            "Apart from defects, marks and masked pixels the image is constant; there is nothing to restore."
        )
    levels = clipping_levels(survey, type_end(survey.values.dtype, intensity))
    if isinstance(settings, VolumeSettings):
        intensity = above_background(intensity, survey.values, settings.background)
    return with_levels(intensity, levels)


def above_background(intensity: Intensity, volume: np.ndarray, background: float | None) -> Intensity:
    """Let the range of a volume ``[1, Z, Y, X]`` begin where the camera reads no light, given or estimated."""
    level = background
    if level is None:
        level = background_level(torch.from_numpy(volume.astype(np.float32))[None])
        if level is not None and volume.dtype.kind == "u":
            level = max(level, 0.0)
    if background is not None and not background < volume.max():
        raise InputError(
            f"The background must be below the brightest voxel ({volume.max():g}); got {background:g}. "
            "It is the value at which the camera reads no light, in counts."
        )
    if level is None or level >= volume.max():
        return intensity
    return replace(intensity, offset=level, scale=intensity.offset + intensity.scale - level, low=level)


def known_noise(settings: Settings, intensity: Intensity) -> KnownNoise:
    """Convert what the settings say of the noise of a volume to working units."""
    if not isinstance(settings, VolumeSettings):
        return UNKNOWN
    gain, read = settings.gain, settings.read_noise
    return KnownNoise(
        None if gain is None else gain / intensity.scale, None if read is None else (read / intensity.scale) ** 2
    )


def with_levels(intensity: Intensity, levels: tuple[float, ...]) -> Intensity:
    """Add the values at which the channels are clipped; where all are, the range ends there."""
    if levels and intensity.scale not in (1.0, 255.0):
        intensity = replace(intensity, scale=min(intensity.scale, max(levels) - intensity.offset))
    return replace(intensity, saturation=levels)


def type_end(dtype: np.dtype, intensity: Intensity) -> float | None:
    """Return the value from which on a data type clips; None where it has no end."""
    if dtype.kind in "ui":
        return np.iinfo(dtype).max * (1 - SATURATION_MARGIN)
    return 1 - SATURATION_MARGIN if (intensity.offset, intensity.scale) == (0.0, 1.0) else None


def as_planes(piece: np.ndarray) -> np.ndarray:
    """Return the channels of a piece, ``[C, (Z,) Y, X]``; alpha is left out."""
    return np.moveaxis(piece[..., :3], -1, 0) if is_colour(piece) else piece[None]
