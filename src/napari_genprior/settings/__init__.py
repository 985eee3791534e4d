"""All settings with their defaults, bounds, units and help texts; they are defined nowhere else.

One flat, frozen model per stage. Command line and widgets are built from these models, and each can be written to JSON
and read back. ``json_schema_extra["source"]`` names the paper that a default is taken from.
"""

from .base import Settings
from .classical import ClassicalSettings, KnownKernelSettings
from .pretrained import EvidenceSettings, GeneratorSettings, PatchSettings, ProjectSettings, RelaxedSettings
from .simulation import BlurSettings, NoiseSettings
from .training import TrainingSettings
from .untrained import DecoderSettings, MultiscaleSettings, SelfDeblurSettings, UntrainedSettings
from .volumes import VolumeSettings

__all__ = [
    "BlurSettings",
    "ClassicalSettings",
    "DecoderSettings",
    "EvidenceSettings",
    "GeneratorSettings",
    "KnownKernelSettings",
    "MultiscaleSettings",
    "NoiseSettings",
    "PatchSettings",
    "ProjectSettings",
    "RelaxedSettings",
    "SelfDeblurSettings",
    "Settings",
    "TrainingSettings",
    "UntrainedSettings",
    "VolumeSettings",
]
