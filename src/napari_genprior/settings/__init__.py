"""Every setting with its default, bounds, unit and help text: the only place where they are written.

One flat, frozen model per stage. The command line, the widgets and the documentation are made from these;
each round-trips through JSON. ``json_schema_extra["source"]`` names the paper a constant comes from.
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
